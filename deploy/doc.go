// Package deploy has the files that deploy logsluice to AWS, and their tests: logsluice.yaml is
// the CloudFormation template, tests/ has its tests in Python.
package deploy
