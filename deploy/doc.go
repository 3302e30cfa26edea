// Package deploy holds what brings logsluice to AWS, and the tests of it:
// logsluice.yaml is the CloudFormation template, tests/ its tests in Python.
package deploy
