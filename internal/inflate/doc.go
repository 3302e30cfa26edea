// Package inflate inflates gzip (RFC 1952) that is whole in memory, straight
// into the memory where it is wanted. It takes and refuses what compress/gzip
// does, in a fraction of the time: bits are taken in 8 bytes at a time, short
// codes of literals are decoded in pairs, and matches are copied 16 bytes at a
// time. The structure is that of libdeflate.
package inflate
