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

// newLogger writes JSON lines, or readable ones if w is a terminal.
func newLogger(w io.Writer, level zerolog.Level) zerolog.Logger {
	if isTerminal(w) {
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: time.TimeOnly, FormatMessage: formatMessage}
	}
	return zerolog.New(w).Level(level).With().Timestamp().Logger()
}

// formatMessage writes a message as it is. Lines of the KCL have texts of others in it; those
// of fields are quoted where it takes that.
func formatMessage(message any) string {
	text, _ := message.(string)
	return safetext.Escape(text)
}

// isTerminal tells that a person sits at what a command reads or writes.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

// sdkLogger brings the AWS SDK's lines into our log. What fails is returned as
// an error and logged where it matters, so these are for debugging.
func sdkLogger(log zerolog.Logger) logging.Logger {
	return logging.LoggerFunc(func(_ logging.Classification, format string, args ...any) {
		log.Debug().Msgf("aws sdk: "+format, args...)
	})
}
