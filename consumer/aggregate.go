package consumer

import (
	"bytes"
	"crypto/md5" //nolint:gosec // the format's digest
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"google.golang.org/protobuf/encoding/protowire"
)

// Aggregates of the Kinesis Producer Library are unpacked here and not by the KCL. The KCL
// does not bound the number of user records, copies their data, and skips the whole batch of
// an invalid aggregate or panics. This code counts the user records before it unpacks the
// first one, and does not copy their data. TestUnpack_AsTheKCL shows that both return the
// same user records.
//
// An aggregate is a magic number, a protobuf message, and the message's MD5:
//
//	message AggregatedRecord {
//	  repeated string partition_key_table     = 1;
//	  repeated string explicit_hash_key_table = 2;
//	  repeated Record records                 = 3;
//	}
//	message Record {
//	  required uint64 partition_key_index     = 1; // index into the table
//	  optional uint64 explicit_hash_key_index = 2;
//	  required bytes  data                    = 3;
//	  repeated Tag    tags                    = 4;
//	}
//
// See https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md.

// maxUserRecords bounds the user records of one aggregate, and the unpacked records of one
// answer to GetRecords: the other records of the answer are read again. An unpacked user
// record takes up to userRecordBytes in addition to its data. The KPL puts at most 1 MiB
// into an aggregate, and the smallest subscription record has more than 150 bytes, so a
// genuine aggregate has at most 7,000 user records.
const (
	maxUserRecords  = 20_000
	userRecordBytes = 256
)

// badAggregate is prepended to the data of an aggregate that cannot be unpacked. The KCL
// passes such a record on unchanged.
var badAggregate = []byte("logsluice: not a valid KPL aggregate\n")

var (
	aggregateMagic = []byte{0xf3, 0x89, 0x9a, 0xc2}

	errNested        = errors.New("a KPL aggregate within another")
	errNoUserRecords = errors.New("not a valid KPL aggregate: it has no user records")
	errNoTable       = errors.New("not a valid KPL aggregate: the partition key of a user record is not in its table")
	errIncomplete    = errors.New("not a valid KPL aggregate: a user record has no partition key or no data")
)

// unpack replaces aggregates with their user records. taken is the number of records that it
// processed: fewer than all if there would be more than maxUserRecords. An aggregate that
// cannot be unpacked is marked with badAggregate.
func unpack(records []types.Record) (unpacked []types.Record, taken int) {
	if !slices.ContainsFunc(records, func(r types.Record) bool { return bytes.HasPrefix(r.Data, aggregateMagic) }) {
		return records, len(records)
	}
	total, counts := 0, make([]int, 0, len(records)) // 0 for a record that is not an aggregate
	for i := range records {
		n := 0
		if message, ok := aggregated(records[i].Data); ok {
			var err error
			if n, err = countUserRecords(message); err != nil {
				n, records[i].Data = 0, marked(records[i].Data)
			}
		}
		if i > 0 && total+max(n, 1) > maxUserRecords {
			break
		}
		total += max(n, 1)
		counts = append(counts, n)
	}
	unpacked = make([]types.Record, 0, total)
	for i, n := range counts {
		if n == 0 {
			unpacked = append(unpacked, records[i])
			continue
		}
		message, _ := aggregated(records[i].Data)
		_, _ = userRecords(message, func(data []byte) { // countUserRecords returned no error
			r := records[i] // keeps its partition key: nothing uses that of the user record
			r.Data = data
			if _, nested := aggregated(data); nested {
				r.Data = marked(data)
			}
			unpacked = append(unpacked, r)
		})
	}
	return unpacked, len(counts)
}

func marked(data []byte) []byte { return slices.Concat(badAggregate, data) }

// aggregateError returns why the data of a marked record was not unpacked.
func aggregateError(data []byte) error {
	message, _ := aggregated(data)
	if _, err := countUserRecords(message); err != nil {
		return err
	}
	return errNested
}

// aggregated returns the protobuf message of an aggregate. Data that has the magic number
// but not the digest is not an aggregate.
func aggregated(data []byte) (message []byte, ok bool) {
	rest, ok := bytes.CutPrefix(data, aggregateMagic)
	end := len(rest) - md5.Size
	if !ok || end <= 0 {
		return nil, false
	}
	digest := md5.Sum(rest[:end]) //nolint:gosec // the format's
	return rest[:end], bytes.Equal(digest[:], rest[end:])
}

// countUserRecords returns the number of user records in an aggregate, or an error if it
// cannot be unpacked.
func countUserRecords(message []byte) (int, error) {
	n, err := userRecords(message, func([]byte) {})
	switch {
	case err != nil:
		return 0, err
	case n == 0:
		return 0, errNoUserRecords
	case n > maxUserRecords:
		return 0, fmt.Errorf("a KPL aggregate of %d user records, which is more than %d", n, maxUserRecords)
	}
	return n, nil
}

// userRecords calls each with the data of every user record of an aggregate, and returns
// their number. The data is part of message.
func userRecords(message []byte, each func(data []byte)) (n int, err error) {
	var keys, greatest uint64
	err = fields(message, func(number protowire.Number, kind protowire.Type, value []byte) error {
		switch {
		case number == 1 && kind == protowire.BytesType:
			keys++
		case number == 3 && kind == protowire.BytesType:
			inner, _ := protowire.ConsumeBytes(value)
			key, data, err := userRecord(inner)
			if err != nil {
				return err
			}
			n, greatest = n+1, max(greatest, key)
			each(data)
		}
		return nil
	})
	if err == nil && n > 0 && greatest >= keys {
		err = errNoTable
	}
	return n, err
}

// userRecord returns the index of a user record's partition key, and the record's data.
func userRecord(message []byte) (key uint64, data []byte, err error) {
	keyed := false
	err = fields(message, func(number protowire.Number, kind protowire.Type, value []byte) error {
		switch {
		case number == 1 && kind == protowire.VarintType:
			key, _ = protowire.ConsumeVarint(value)
			keyed = true
		case number == 3 && kind == protowire.BytesType:
			data, _ = protowire.ConsumeBytes(value)
		}
		return nil
	})
	if err == nil && (!keyed || data == nil) {
		err = errIncomplete
	}
	return key, slices.Clip(data), err
}

// fields calls each with every field of a protobuf message until it returns an error.
func fields(message []byte, each func(number protowire.Number, kind protowire.Type, value []byte) error) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return fmt.Errorf("not a valid KPL aggregate: %w", protowire.ParseError(n))
		}
		message = message[n:]
		if n = protowire.ConsumeFieldValue(number, kind, message); n < 0 {
			return fmt.Errorf("not a valid KPL aggregate: %w", protowire.ParseError(n))
		}
		if err := each(number, kind, message[:n]); err != nil {
			return err
		}
		message = message[n:]
	}
	return nil
}
