// Package kcl is the one place that imports vmware-go-kcl-v2. Its Worker acquires leases,
// reads their shards, and processes the records, each by plain Go interfaces: the lease
// table (checkpoint.Table), a Reader and a Processor for each shard.
//
// The library is used as it comes. Its faults are cured by what it is given:
//   - worker.go: its configuration, by which it renews no leases, balances nothing and
//     hardly ever sleeps;
//   - client.go: its client of Kinesis, which sends nothing: a listing shows the leases
//     that may be taken, and reads go to the Reader;
//   - leases.go: its Checkpointer, which goes by the lease table;
//   - processor.go: its processors, which hide what the library does not do reliably;
//   - log.go: its lines, of which those are dropped that are logged elsewhere.
//
// Its MonitoringService is left out: the lease table and the Reader know more.
//
// TestOnlyHere fails if another package imports the library.
package kcl
