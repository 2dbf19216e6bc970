package inventory

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"

	"regfsck/backend"
)

// parquetMagic is at the start of every Parquet file.
const parquetMagic = "PAR1"

// rowsAtOnce is how many rows of a Parquet file are decoded together.
const rowsAtOnce = 1024

// parquet reads a Parquet file of an inventory. It names its columns, which are those of
// CSV. Its keys are not encoded.
func (r *reading) parquet(f *os.File) (err error) {
	defer func() { // the decoder may panic on a damaged file
		if p := recover(); p != nil {
			err = fmt.Errorf("it can't be decoded as Parquet: %v", p)
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return backend.Cause(err)
	}
	file, err := parquet.OpenFile(f, info.Size(), parquet.SkipBloomFilters(true), parquet.SkipPageIndex(true))
	if err != nil {
		return fmt.Errorf("it can't be decoded as Parquet: %w", err)
	}
	fields := file.Schema().Fields()
	names, texts := make([]string, len(fields)), make([]func(parquet.Value) string, len(fields))
	for i, field := range fields {
		if !field.Leaf() || field.Repeated() {
			return fmt.Errorf("its column %s holds more than one value a row", field.Name())
		}
		names[i], texts[i] = field.Name(), textOf(field.Type())
	}
	columns, err := columnsOf(names)
	if err != nil {
		return err
	}
	for _, group := range file.RowGroups() {
		if err := r.group(group, columns, texts); err != nil {
			return err
		}
	}
	return nil
}

// group reads a row group.
func (r *reading) group(group parquet.RowGroup, c columns, texts []func(parquet.Value) string) (err error) {
	rows := group.Rows()
	defer func() { err = backend.Join(err, rows.Close()) }()
	buf, record := make([]parquet.Row, rowsAtOnce), make([]string, len(texts))
	for {
		n, err := rows.ReadRows(buf)
		for _, row := range buf[:n] {
			r.lines++
			clear(record)
			for _, v := range row {
				if !v.IsNull() {
					record[v.Column()] = texts[v.Column()](v)
				}
			}
			if err := r.record(record, c); err != nil {
				return fmt.Errorf("row %d: %w", r.lines, err)
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("it can't be decoded as Parquet behind row %d: %w", r.lines, err)
		case n == 0:
			return fmt.Errorf("it can't be decoded as Parquet behind row %d", r.lines)
		}
	}
}

// textOf returns the function that formats values of a column's type as in CSV.
func textOf(t parquet.Type) func(parquet.Value) string {
	if unit := unitOf(t); unit > 0 {
		return func(v parquet.Value) string {
			at := time.UnixMilli(v.Int64())
			if unit < time.Millisecond {
				at = time.Unix(0, v.Int64()*int64(unit))
			}
			return at.UTC().Format(time.RFC3339Nano)
		}
	}
	switch t.Kind() {
	case parquet.Boolean:
		return func(v parquet.Value) string { return strconv.FormatBool(v.Boolean()) }
	case parquet.Int32, parquet.Int64:
		return func(v parquet.Value) string { return strconv.FormatInt(v.Int64(), 10) }
	}
	return parquet.Value.String
}

// unitOf returns the unit in which a column counts time since 1970; 0 if it isn't a time.
// Older writers set only the converted type.
func unitOf(t parquet.Type) time.Duration {
	if t.Kind() != parquet.Int64 {
		return 0
	}
	if logical := t.LogicalType(); logical != nil {
		if at, ok := logical.Value.(*format.TimestampType); ok && at.Unit.Value != nil {
			return at.Unit.Value.Duration()
		}
	}
	if converted := t.ConvertedType(); converted != nil {
		switch *converted {
		case deprecated.TimestampMillis:
			return time.Millisecond
		case deprecated.TimestampMicros:
			return time.Microsecond
		}
	}
	return 0
}
