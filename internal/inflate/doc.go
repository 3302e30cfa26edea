// Package inflate inflates gzip (RFC 1952) that is completely in memory, directly into
// its destination. It accepts and refuses the same input as compress/gzip, with 0.45 of
// the CPU time of klauspost/compress (BenchmarkMember): it reads 8 bytes of input at a time,
// decodes short codes of literals in pairs, and copies matches 16 bytes at a time. Its
// structure is that of libdeflate.
package inflate
