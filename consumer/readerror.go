package consumer

import (
	"errors"
	"slices"
	"strings"

	"github.com/aws/smithy-go"

	"logsluice/checkpoint"
)

// readError is the error of a read or a listing, with a remedy if one is known.
type readError struct {
	cause   error
	resumes bool   // reading begins after a checkpoint
	needs   string // the required permissions
}

// Is reports whether target is checkpoint.ErrRefused and the error persists until a setting
// or a permission is changed.
func (e *readError) Is(target error) bool {
	return target == checkpoint.ErrRefused && apiCode(e.cause) != "InvalidArgumentException" && e.remedy() != ""
}

const readPermissions = "kinesis:GetShardIterator and kinesis:GetRecords"

func (e *readError) Unwrap() error { return e.cause }

func (e *readError) Error() string {
	text := e.cause.Error()
	var api smithy.APIError
	if errors.As(e.cause, &api) {
		text = strings.TrimSuffix(api.ErrorCode()+": "+api.ErrorMessage(), ": ")
	}
	if remedy := e.remedy(); remedy != "" {
		text = strings.TrimSuffix(text, ".") + ": " + remedy
	}
	return text
}

// apiCode returns the code of an AWS error, "" if err is not from AWS.
func apiCode(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// Error codes of AWS. See
// https://docs.aws.amazon.com/kinesis/latest/APIReference/CommonErrors.html.
var (
	deniedCodes     = []string{"AccessDenied", "AccessDeniedException", "NotAuthorized", "UnauthorizedOperation"}
	credentialCodes = []string{
		"ExpiredToken", "ExpiredTokenException", "IncompleteSignature", "IncompleteSignatureException", "InvalidAccessKeyId",
		"InvalidClientTokenId", "InvalidSignatureException", "MissingAuthenticationToken", "MissingAuthenticationTokenException",
		"SignatureDoesNotMatch", "UnrecognizedClientException",
	}
)

// IsDenied reports whether AWS denied a call for lack of a permission.
func IsDenied(err error) bool { return slices.Contains(deniedCodes, apiCode(err)) }

// AreCredentialsRefused reports whether AWS refused the credentials of a call.
func AreCredentialsRefused(err error) bool { return slices.Contains(credentialCodes, apiCode(err)) }

// remedy returns how to correct the cause of an error, "" if retries may be enough.
func (e *readError) remedy() string {
	switch {
	case IsDenied(e.cause):
		return "grant " + e.needs + " on the stream to the task role"
	case AreCredentialsRefused(e.cause):
		return "check the worker's AWS credentials and its clock"
	}
	switch apiCode(e.cause) {
	case "KMSAccessDeniedException":
		return "grant kms:Decrypt on the stream's key to the task role, in the role's policy and in the key's"
	case "KMSDisabledException", "KMSInvalidStateException", "KMSNotFoundException", "KMSOptInRequired":
		return "enable the KMS key that the stream's records are encrypted with"
	case "ResourceNotFoundException":
		return "the stream does not exist: check STREAM_NAME (--stream-name), AWS_REGION and whether it was deleted"
	case "InvalidArgumentException":
		if e.resumes {
			return "the checkpoint in the lease table does not belong to this shard: it is dropped, and the shard is read from its oldest record"
		}
	}
	return ""
}

// noteFailure records in the lease that a read failed, unless the read was ended on purpose.
// It returns the error for the KCL.
func (s *stream) noteFailure(r *reader, err error) error {
	if err == nil || errors.Is(err, errNotLeased) || s.reading.Err() != nil {
		return err
	}
	err = &readError{cause: err, resumes: r.lease.Checkpoint() != "", needs: readPermissions}
	r.lease.ReadFailed(err)
	return err
}
