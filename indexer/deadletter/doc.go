// Package deadletter is what logsluice keeps of what it cannot index: the letter and its
// id, the index that letters go to, how they are counted there, and the store in S3 for
// letters that their index refuses.
package deadletter
