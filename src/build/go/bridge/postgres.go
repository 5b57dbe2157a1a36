package bridge

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"time"
	"unsafe"

	witRuntime "go.bytecodealliance.org/pkg/wit/runtime"
)

// See wit/deps/spin-postgres-4.0.0: what of it is used here, as the Canonical ABI lays it out.

//go:wasmimport spin:postgres/postgres@4.0.0 [static]connection.open
func importPostgresOpen(name, length uint32, result uint32)

//go:wasmimport spin:postgres/postgres@4.0.0 [method]connection.query
func importPostgresQuery(self int32, statement, length uint32, parameters, count uint32, result uint32)

//go:wasmimport spin:postgres/postgres@4.0.0 [method]connection.execute
func importPostgresExecute(self int32, statement, length uint32, parameters, count uint32, result uint32)

//go:wasmimport spin:postgres/postgres@4.0.0 [resource-drop]connection
func importPostgresDrop(self int32)

func init() { sql.Register("wasmserve-postgres", dialect{openPostgres}) }

type postgresLent struct{ handle int32 }

// Where the host writes what comes of a call.
type postgresArea struct{ words [9]uint64 }

func (a *postgresArea) pinned(pinner *runtime.Pinner) uint32 {
	pinner.Pin(a)
	return uint32(uintptr(unsafe.Pointer(a)))
}

// What stands so many bytes behind the beginning.
func at[T any](from unsafe.Pointer, bytes uintptr) *T { return (*T)(unsafe.Add(from, bytes)) }

func openPostgres(name string) (lent, error) {
	var pinner runtime.Pinner
	defer pinner.Unpin()
	var answer postgresArea
	asked := of(&pinner, []byte(name))
	importPostgresOpen(asked.data, asked.length, answer.pinned(&pinner))
	if err := answer.failure(4); err != nil {
		return nil, err
	}
	return postgresLent{*at[int32](unsafe.Pointer(&answer), 4)}, nil
}

// A postgresError is what PostgreSQL has answered.
type postgresError struct {
	Severity, Code, Message, Detail string
	// Hint, Schema, Table, Column, Constraint and the like.
	Extras map[string]string
}

func (e *postgresError) Error() string {
	return fmt.Sprintf("postgres: %s (SQLSTATE %s)", e.Message, e.Code)
}

// SQLState is how other drivers for PostgreSQL give the code, too.
func (e *postgresError) SQLState() string { return e.Code }

// The error that stands there, where there is one.
func (a *postgresArea) failure(place uintptr) (err error) {
	if *at[uint8](unsafe.Pointer(a), 0) == 0 {
		return nil
	}
	defer witRuntime.Unpin()
	readingOf(func() {
		failure := unsafe.Add(unsafe.Pointer(a), place)
		text := func(bytes uintptr) string { return string(at[span](failure, bytes).bytes()) }
		const queryFailed, dbError = 2, 1
		switch {
		case *at[uint8](failure, 0) != queryFailed:
			err = errors.New("postgres: " + text(4))
		case *at[uint8](failure, 4) != dbError:
			err = errors.New("postgres: " + text(8))
		default:
			told := &postgresError{
				Severity: text(16), Code: text(24), Message: text(32), Extras: map[string]string{},
			}
			if *at[uint8](failure, 40) != 0 {
				told.Detail = text(44)
			}
			for _, extra := range listOf[[2]span](*at[span](failure, 52)) {
				told.Extras[string(extra[0].bytes())] = string(extra[1].bytes())
			}
			err = told
		}
	})
	return err
}

func (l postgresLent) drop() { importPostgresDrop(l.handle) }

func (l postgresLent) begin(options driver.TxOptions) (string, error) {
	statement := "BEGIN"
	switch level := sql.IsolationLevel(options.Isolation); level {
	case sql.LevelDefault:
	case sql.LevelReadUncommitted, sql.LevelReadCommitted, sql.LevelRepeatableRead, sql.LevelSerializable:
		statement += " ISOLATION LEVEL " + level.String()
	default:
		return "", fmt.Errorf("postgres: there is no isolation level %v", level)
	}
	if options.ReadOnly {
		statement += " READ ONLY"
	}
	return statement, nil
}

func (l postgresLent) run(statement string, parameters []driver.Value, wanted bool) (*sqlRows, sqlResult, error) {
	var pinner runtime.Pinner
	defer pinner.Unpin()
	var answer postgresArea
	list, err := listed(&pinner, parameters, (*postgresValue).set)
	if err != nil {
		return nil, sqlResult{}, err
	}
	text := of(&pinner, []byte(statement))
	to := answer.pinned(&pinner)
	if !wanted {
		importPostgresExecute(l.handle, text.data, text.length, list.data, list.length, to)
		if err := answer.failure(8); err != nil {
			return nil, sqlResult{}, err
		}
		return nil, sqlResult{changed: int64(answer.words[1])}, nil
	}
	importPostgresQuery(l.handle, text.data, text.length, list.data, list.length, to)
	if err := answer.failure(4); err != nil {
		return nil, sqlResult{}, err
	}
	defer witRuntime.Unpin()
	found := &sqlRows{}
	readingOf(func() {
		for _, column := range listOf[postgresColumn](*at[span](unsafe.Pointer(&answer), 4)) {
			found.columns = append(found.columns, string(column.name.bytes()))
			found.kinds = append(found.kinds, column.kindName())
		}
		for _, row := range listOf[span](*at[span](unsafe.Pointer(&answer), 12)) {
			values := make([]driver.Value, 0, row.length)
			all := listOf[postgresValue](row)
			for nth := range all {
				if all[nth].kind == postgresUnsupported {
					err = fmt.Errorf(
						"postgres: there is no value here for what column %q has, which is of type %s: "+
							"make a text of it in the statement (::text)",
						found.columns[nth], found.kinds[nth],
					)
				}
				values = append(values, all[nth].got())
			}
			found.values = append(found.values, values)
		}
	})
	if err != nil {
		return nil, sqlResult{}, err
	}
	return found, sqlResult{}, nil
}

type postgresColumn struct {
	name  span
	kind  uint8
	other span
}

func (c *postgresColumn) kindName() string {
	if int(c.kind) < len(postgresKinds) {
		return postgresKinds[c.kind]
	}
	return string(c.other.bytes())
}

// Texts have the type that the statement needs in their place, so everything that has one is sent as a text.
func (v *postgresValue) set(pinner *runtime.Pinner, value driver.Value) error {
	text := func(kind uint8, bytes []byte) {
		v.kind, *at[span](unsafe.Pointer(&v.payload), 0) = kind, of(pinner, bytes)
	}
	switch it := value.(type) {
	case nil:
		v.kind = postgresNull
	case int64:
		text(postgresText, strconv.AppendInt(nil, it, 10))
	case bool:
		text(postgresText, strconv.AppendBool(nil, it))
	case float64:
		text(postgresText, strconv.AppendFloat(nil, it, 'g', -1, 64))
	case string:
		text(postgresText, []byte(it))
	case []byte:
		text(postgresBinary, it)
	case time.Time:
		text(postgresText, []byte(it.Format("2006-01-02 15:04:05.999999999Z07:00:00")))
	default:
		return unknown(value)
	}
	return nil
}
