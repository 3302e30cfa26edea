package fakeaws

import "fmt"

// APIError is an error response of the service.
type APIError struct {
	// Code is the exception's name, such as ProvisionedThroughputExceededException.
	Code    string
	Message string
	// Status is the HTTP status, 400 if zero. Only failures of the service itself have
	// another status.
	Status int
}

func (e *APIError) Error() string { return e.Code + ": " + e.Message }

// Exceptions of the service, from
// https://docs.aws.amazon.com/kinesis/latest/APIReference/CommonErrors.html and the pages of
// the operations.
const (
	codeInvalidArgument = "InvalidArgumentException"
	codeNotFound        = "ResourceNotFoundException"
	codeInUse           = "ResourceInUseException"
	codeLimit           = "LimitExceededException"
	codeValidation      = "ValidationException"
	codeSerialization   = "SerializationException"
	codeUnknown         = "UnknownOperationException"
	codeExpiredIterator = "ExpiredIteratorException"
	codeExpiredToken    = "ExpiredNextTokenException"
	codeThroughput      = "ProvisionedThroughputExceededException"
	codeInternal        = "InternalFailure"
)

func failf(code, format string, args ...any) error {
	return &APIError{Code: code, Message: fmt.Sprintf(format, args...)}
}

// missing returns the error for a required member that is missing.
func missing(member string) error {
	return failf(codeValidation, "1 validation error detected: Value null at '%s' failed to satisfy constraint: Member must not be null", member)
}
