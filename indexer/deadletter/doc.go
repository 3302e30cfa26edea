// Package deadletter defines what logsluice keeps of records and documents that it cannot
// index: the letter and its id, the index of the letters, their counts, and the store in
// S3 for letters that their index refuses.
package deadletter
