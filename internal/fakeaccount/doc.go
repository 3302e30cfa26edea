// Package fakeaccount implements parts of AWS in process: STS's GetCallerIdentity, and the
// requests of CloudWatch Logs that list log groups and subscription filters. They use the
// services' protocols.
package fakeaccount

// ID is the id of the account.
const ID = "000000000000"
