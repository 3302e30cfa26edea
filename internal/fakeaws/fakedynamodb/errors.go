package fakedynamodb

import "fmt"

// APIError is an error response of the service.
type APIError struct {
	// Code is the exception's name, such as ConditionalCheckFailedException.
	Code    string
	Message string
	// Status is the HTTP status, 400 if zero. Only failures of the service itself have
	// another status.
	Status int

	item item // the item that failed the condition, if requested
}

func (e *APIError) Error() string { return e.Code + ": " + e.Message }

// Exceptions of the service, from
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
// and the pages of the operations.
const (
	codeCondition     = "ConditionalCheckFailedException"
	codeInUse         = "ResourceInUseException"
	codeInternal      = "InternalServerError"
	codeNotFound      = "ResourceNotFoundException"
	codeSerialization = "SerializationException"
	codeUnknown       = "UnknownOperationException"
	codeValidation    = "ValidationException"
)

// Namespaces of exceptions. Exceptions common to all of AWS have their own.
const (
	ownNamespace    = "com.amazonaws.dynamodb.v20120810#"
	commonNamespace = "com.amazon.coral.service#"
)

// typeName returns the exception's name in an error response.
func (e *APIError) typeName() string {
	switch e.Code {
	case codeSerialization, codeUnknown:
		return commonNamespace + e.Code
	case codeValidation:
		return "com.amazon.coral.validate#" + e.Code
	}
	return ownNamespace + e.Code
}

func failf(code, format string, args ...any) error {
	return &APIError{Code: code, Message: fmt.Sprintf(format, args...)}
}

func invalidf(format string, args ...any) error { return failf(codeValidation, format, args...) }
