// Package doctor walks the chain from log groups to indices, with the settings of a
// worker, and says of each link what it found and what is to be done. It changes
// nothing but a scratch document of its own.
package doctor
