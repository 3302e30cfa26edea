package cli

import (
	"io"
	"os"
	"time"

	"github.com/aws/smithy-go/logging"
	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"

	"logsluice/internal/safetext"
)

// newLogger returns a logger that writes JSON lines, or readable text if w is a terminal.
func newLogger(w io.Writer, level zerolog.Level) zerolog.Logger {
	if isTerminal(w) {
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: time.TimeOnly, FormatMessage: formatMessage}
	}
	return zerolog.New(w).Level(level).With().Timestamp().Logger()
}

// formatMessage returns a message with control characters escaped. Messages of the KCL can
// contain text from outside the program; zerolog quotes such text in fields itself.
func formatMessage(message any) string {
	text, _ := message.(string)
	return safetext.Escape(text)
}

// isTerminal reports whether a stream is a terminal.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

// sdkLogger logs the AWS SDK's lines at debug level. Failures are returned as errors, so
// callers log those that matter.
func sdkLogger(log zerolog.Logger) logging.Logger {
	return logging.LoggerFunc(func(_ logging.Classification, format string, args ...any) {
		log.Debug().Msgf("aws sdk: "+format, args...)
	})
}
