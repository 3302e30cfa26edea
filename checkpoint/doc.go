// Package checkpoint keeps the lease table in DynamoDB: which worker owns each shard, and
// up to which record the shard is acknowledged. It uses the attribute names of
// vmware-go-kcl-v2, so existing tables keep working. It does not depend on that library:
// consumer/kcl adapts Table to it.
//
// Every write is conditional on the owner and on the lease's epoch, which grows with each
// change of owner. A worker that lost a shard therefore changes nothing. No takeover
// compares wall clocks: a worker may take over a lease when it has seen the row unchanged
// for a whole lease duration on its own monotonic clock.
//
// Start with table.go and scan.go (what is observed), then read acquire.go and lease.go
// (a lease from its acquisition to its release).
package checkpoint
