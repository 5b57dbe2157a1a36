package bridge

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"math"
	"runtime"
	"time"
	"unsafe"

	witRuntime "go.bytecodealliance.org/pkg/wit/runtime"
)

// See wit/deps/spin-sqlite-3.0.0: what of it is used here, as the Canonical ABI lays it out.

//go:wasmimport spin:sqlite/sqlite@3.0.0 [static]connection.open
func importSqliteOpen(name, length uint32, result uint32)

//go:wasmimport spin:sqlite/sqlite@3.0.0 [method]connection.execute
func importSqliteExecute(self int32, statement, length uint32, parameters, count uint32, result uint32)

//go:wasmimport spin:sqlite/sqlite@3.0.0 [method]connection.last-insert-rowid
func importSqliteLastInsertRowid(self int32) int64

//go:wasmimport spin:sqlite/sqlite@3.0.0 [method]connection.changes
func importSqliteChanges(self int32) int64

//go:wasmimport spin:sqlite/sqlite@3.0.0 [resource-drop]connection
func importSqliteDrop(self int32)

func init() { sql.Register("wasmserve-sqlite", dialect{openSqlite}) }

type sqliteLent struct{ handle int32 }

const (
	sqliteInteger = iota
	sqliteReal
	sqliteText
	sqliteBlob
	sqliteNull
)

// A value: a number, or where a text is and how long that is.
type sqliteValue struct {
	kind uint8
	bits uint64
}

func (v *sqliteValue) span() *span { return (*span)(unsafe.Pointer(&v.bits)) }

func openSqlite(name string) (lent, error) {
	var pinner runtime.Pinner
	defer pinner.Unpin()
	var answer area
	asked := of(&pinner, []byte(name))
	importSqliteOpen(asked.data, asked.length, answer.pinned(&pinner))
	if err := answer.sqliteError(); err != nil {
		return nil, err
	}
	return sqliteLent{int32(answer.words[1])}, nil
}

func (a *area) sqliteError() error {
	if uint8(a.words[0]) == 0 {
		return nil
	}
	switch uint8(a.words[1]) {
	case 0:
		return errors.New("sqlite: there is no database of this name; --sqlite NAME=PATH would grant it")
	case 1:
		return errors.New("sqlite: not authorized")
	case 2:
		return driver.ErrBadConn
	case 3:
		return errors.New("sqlite: database or disk is full")
	}
	var why string
	readingOf(func() { why = string(a.span(2).bytes()) })
	witRuntime.Unpin()
	return errors.New("sqlite: " + why)
}

func (l sqliteLent) drop() { importSqliteDrop(l.handle) }

// A transaction that writes waits for others where it begins.
func (l sqliteLent) begin(options driver.TxOptions) (string, error) {
	switch sql.IsolationLevel(options.Isolation) {
	case sql.LevelDefault, sql.LevelSerializable:
	default:
		return "", errors.New("sqlite: every transaction is serializable")
	}
	if options.ReadOnly {
		return "BEGIN", nil
	}
	return "BEGIN IMMEDIATE", nil
}

func (l sqliteLent) run(statement string, parameters []driver.Value, wanted bool) (*sqlRows, sqlResult, error) {
	var pinner runtime.Pinner
	defer pinner.Unpin()
	var answer area
	list, err := listed(&pinner, parameters, (*sqliteValue).set)
	if err != nil {
		return nil, sqlResult{}, err
	}
	text := of(&pinner, []byte(statement))
	importSqliteExecute(l.handle, text.data, text.length, list.data, list.length, answer.pinned(&pinner))
	if err := answer.sqliteError(); err != nil {
		return nil, sqlResult{}, err
	}
	defer witRuntime.Unpin()
	if !wanted {
		inserted := importSqliteLastInsertRowid(l.handle)
		return nil, sqlResult{importSqliteChanges(l.handle), &inserted}, nil
	}
	found := &sqlRows{}
	readingOf(func() {
		for _, name := range listOf[span](answer.span(1)) {
			found.columns = append(found.columns, string(name.bytes()))
		}
		for _, row := range listOf[span](answer.span(3)) {
			values := make([]driver.Value, 0, row.length)
			for at := range listOf[sqliteValue](row) {
				values = append(values, listOf[sqliteValue](row)[at].got())
			}
			found.values = append(found.values, values)
		}
	})
	return found, sqlResult{}, nil
}

func (v *sqliteValue) set(pinner *runtime.Pinner, value driver.Value) error {
	text := func(kind uint8, bytes []byte) {
		v.kind, *v.span() = kind, of(pinner, bytes)
	}
	switch it := value.(type) {
	case nil:
		v.kind = sqliteNull
	case int64:
		v.kind, v.bits = sqliteInteger, uint64(it)
	case bool:
		v.kind = sqliteInteger
		if it {
			v.bits = 1
		}
	case float64:
		v.kind, v.bits = sqliteReal, math.Float64bits(it)
	case string:
		text(sqliteText, []byte(it))
	case []byte:
		text(sqliteBlob, it)
	case time.Time:
		text(sqliteText, []byte(it.Format("2006-01-02 15:04:05.999999999-07:00")))
	default:
		return unknown(value)
	}
	return nil
}

func (v *sqliteValue) got() driver.Value {
	switch v.kind {
	case sqliteInteger:
		return int64(v.bits)
	case sqliteReal:
		return math.Float64frombits(v.bits)
	case sqliteText:
		return string(v.span().bytes())
	case sqliteBlob:
		return append([]byte{}, v.span().bytes()...)
	}
	return nil
}
