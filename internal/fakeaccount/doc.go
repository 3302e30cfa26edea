// Package fakeaccount has what an AWS account tells of itself, in process: who calls, by
// STS, and who forwards log events, by CloudWatch Logs. They speak the services' own
// protocols.
package fakeaccount

// ID is the account's.
const ID = "000000000000"
