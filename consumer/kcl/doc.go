// Package kcl is the only package that imports vmware-go-kcl-v2. Its Worker acquires leases,
// reads their shards, and processes the records through plain Go types: the lease table
// (checkpoint.Table), a Reader, and a Processor per shard.
//
// The library is used unmodified. This package works around its defects with what it passes
// to the library:
//   - worker.go: a configuration with which it renews no leases, does not balance and
//     hardly ever sleeps;
//   - client.go: a Kinesis client that sends nothing. A listing returns the leases that may
//     be acquired, and reads go to the Reader;
//   - leases.go: a Checkpointer that uses the lease table;
//   - processor.go: processors that do not depend on its unreliable features;
//   - log.go: a logger that drops lines about events that are logged elsewhere.
//
// Its MonitoringService is not used, because the lease table and the Reader have more
// information.
//
// TestOnlyHere fails if another package imports the library.
package kcl
