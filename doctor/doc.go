// Package doctor checks each link of the chain from log groups to indices, with the settings
// of a worker, and reports what it found and how to fix it. It changes nothing except its own
// scratch document.
package doctor
