package bridge

import (
	"database/sql/driver"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unsafe"
)

// The types of PostgreSQL's that the interface names, in its order, by PostgreSQL's own names.
var postgresKinds = []string{
	"bool", "char", "int2", "int4", "int8", "float4", "float8", "text", "bytea", "date", "time", "timestamp",
	"timestamptz", "uuid", "jsonb", "numeric", "int4range", "int8range", "numrange", "_int4", "_int8", "_numeric", "_text",
	"interval",
}

const (
	postgresText        = 7
	postgresBinary      = 8
	postgresNull        = 24
	postgresUnsupported = 25
)

// A value of spin:postgres, as the Canonical ABI lays it out.
type postgresValue struct {
	kind    uint8
	payload [6]uint64
}

// What database/sql is given: numbers, texts, bytes and times as other drivers give them, and a text in PostgreSQL's own
// notation for what Go has no type for.
func (v *postgresValue) got() driver.Value {
	from := unsafe.Pointer(&v.payload)
	text := func(bytes uintptr) string { return string(at[span](from, bytes).bytes()) }
	switch v.kind {
	case 0:
		return *at[uint8](from, 0) != 0
	case 1:
		return int64(*at[int8](from, 0))
	case 2:
		return int64(*at[int16](from, 0))
	case 3:
		return int64(*at[int32](from, 0))
	case 4:
		return *at[int64](from, 0)
	case 5:
		return float64(*at[float32](from, 0))
	case 6:
		return *at[float64](from, 0)
	case postgresText, 13, 15:
		return text(0)
	case 9:
		month, day := *at[uint8](from, 4), *at[uint8](from, 5)
		return time.Date(int(*at[int32](from, 0)), time.Month(month), int(day), 0, 0, 0, 0, time.UTC)
	case 10:
		clock := fmt.Sprintf("%02d:%02d:%02d", *at[uint8](from, 0), *at[uint8](from, 1), *at[uint8](from, 2))
		return clock + fraction(int64(*at[uint32](from, 4)))
	case 11:
		month, day, hour := *at[uint8](from, 4), *at[uint8](from, 5), *at[uint8](from, 6)
		minute, second, nanos := *at[uint8](from, 7), *at[uint8](from, 8), *at[uint32](from, 12)
		year := int(*at[int32](from, 0))
		return time.Date(year, time.Month(month), int(day), int(hour), int(minute), int(second), int(nanos), time.UTC)
	case 12:
		return time.Unix(*at[int64](from, 0), 0).UTC()
	case 16:
		number := func(it unsafe.Pointer) string { return strconv.Itoa(int(*at[int32](it, 0))) }
		return rangeOf(from, 4, 8, 12, number)
	case 17:
		number := func(it unsafe.Pointer) string { return strconv.FormatInt(*at[int64](it, 0), 10) }
		return rangeOf(from, 8, 16, 24, number)
	case 18:
		return rangeOf(from, 4, 12, 16, func(it unsafe.Pointer) string { return string(at[span](it, 0).bytes()) })
	case 19:
		number := func(it unsafe.Pointer) string { return strconv.Itoa(int(*at[int32](it, 0))) }
		return arrayOf(*at[span](from, 0), 4, 8, number)
	case 20:
		number := func(it unsafe.Pointer) string { return strconv.FormatInt(*at[int64](it, 0), 10) }
		return arrayOf(*at[span](from, 0), 8, 16, number)
	case 21:
		return arrayOf(*at[span](from, 0), 4, 12, func(it unsafe.Pointer) string { return string(at[span](it, 0).bytes()) })
	case 22:
		return arrayOf(*at[span](from, 0), 4, 12, func(it unsafe.Pointer) string {
			return `"` + quotes.Replace(string(at[span](it, 0).bytes())) + `"`
		})
	case 23:
		return intervalOf(*at[int64](from, 0), *at[int32](from, 8), *at[int32](from, 12))
	case postgresNull:
		return nil
	}
	// Bytes, and JSON.
	return append([]byte{}, at[span](from, 0).bytes()...)
}

var quotes = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// An array of one dimension as PostgreSQL writes it; each element may be NULL.
func arrayOf(list span, value, size uintptr, written func(unsafe.Pointer) string) string {
	all := make([]string, list.length)
	for nth := range all {
		element := unsafe.Add(list.pointer(), uintptr(nth)*size)
		all[nth] = "NULL"
		if *at[uint8](element, 0) != 0 {
			all[nth] = written(unsafe.Add(element, value))
		}
	}
	return "{" + strings.Join(all, ",") + "}"
}

// A range as PostgreSQL writes it: of each bound it is said where its value is, whether that is in the range, and where
// the next bound is.
func rangeOf(from unsafe.Pointer, value, kind, next uintptr, written func(unsafe.Pointer) string) string {
	lower, upper := "(,", ")"
	if *at[uint8](from, 0) != 0 {
		lower = string("[("[*at[uint8](from, kind)&1]) + written(unsafe.Add(from, value)) + ","
	}
	if from = unsafe.Add(from, next); *at[uint8](from, 0) != 0 {
		upper = written(unsafe.Add(from, value)) + string("])"[*at[uint8](from, kind)&1])
	}
	return lower + upper
}

func intervalOf(micros int64, days, months int32) string {
	sign, rest := "", uint64(micros)
	if micros < 0 {
		sign, rest = "-", -rest
	}
	seconds := rest / 1e6
	clock := fmt.Sprintf("%s%02d:%02d:%02d", sign, seconds/3600, seconds/60%60, seconds%60)
	return fmt.Sprintf("%d months %d days %s%s", months, days, clock, fraction(int64(rest%1e6)*1000))
}

// The fraction of a second as it is written behind one; nothing where there is none.
func fraction(nanos int64) string {
	if nanos == 0 {
		return ""
	}
	return strings.TrimRight(fmt.Sprintf(".%09d", nanos), "0")
}
