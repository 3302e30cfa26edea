// Package checkpoint keeps the lease table in DynamoDB: which worker owns a
// shard, and how far the shard is acknowledged. It keeps the attribute names of
// vmware-go-kcl-v2, so that its tables go on working, and otherwise knows nothing
// of that library: consumer/kcl adapts Table to it.
//
// Every write is conditional on the owner and on the lease's epoch, which
// grows with each change of owner: a worker that lost a shard changes nothing.
// Nobody compares wall clocks: a lease may be taken over when its row was seen
// unchanged for a whole lease duration on the observer's own monotonic clock.
//
// A reader begins with table.go, scan.go (what is observed), acquire.go and lease.go
// (a lease from its acquisition to its release).
package checkpoint
