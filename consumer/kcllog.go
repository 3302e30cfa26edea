package consumer

import (
	"context"
	"errors"

	"github.com/rs/zerolog"
	"github.com/vmware/vmware-go-kcl-v2/logger"
)

// kclLog brings the KCL's lines into our log. Its informative lines are for
// debugging; shard events have a line of their own in package checkpoint.
type kclLog struct {
	log     zerolog.Logger
	reading context.Context // ends when the worker stops
	sampler *sampler
}

var _ logger.Logger = kclLog{}

func (k kclLog) Debugf(format string, args ...any) { k.log.Trace().Msgf("kcl: "+format, args...) }
func (k kclLog) Infof(format string, args ...any)  { k.log.Debug().Msgf("kcl: "+format, args...) }
func (k kclLog) Warnf(format string, args ...any)  { k.failure(format).Msgf("kcl: "+format, args...) }

func (k kclLog) Errorf(format string, args ...any) {
	for _, arg := range args {
		var failed *readError
		if err, ok := arg.(error); ok && (errors.Is(err, errUnled) || errors.As(err, &failed)) {
			k.Infof(format, args...) // package checkpoint logs it
			return
		}
	}
	k.failure(format).Msgf("kcl: "+format, args...)
}

// Fatalf and Panicf are what the KCL calls where it creates clients by itself,
// which it never does here.
func (k kclLog) Fatalf(format string, args ...any) { k.log.Fatal().Msgf("kcl: "+format, args...) }
func (k kclLog) Panicf(format string, args ...any) { k.log.Panic().Msgf("kcl: "+format, args...) }

// failure begins a line about a call that did not succeed. When the worker stops,
// its calls are cut off on purpose.
func (k kclLog) failure(format string) *zerolog.Event {
	if k.reading.Err() != nil {
		return k.log.Debug()
	}
	return k.sampler.warn(k.log, format)
}

func (k kclLog) WithFields(fields logger.Fields) logger.Logger {
	k.log = k.log.With().Fields(map[string]any(fields)).Logger()
	return k
}
