package bridge

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"unsafe"
)

// What the drivers of database/sql have in common that stand on the host's databases (`wasmserve-postgres`,
// `wasmserve-sqlite`): the name of a data source is the one that the operator has granted.

// A lent is one connection of the host's.
type lent interface {
	// Runs a statement; the rows where they are wanted, and otherwise how many it has changed.
	run(statement string, parameters []driver.Value, wanted bool) (*sqlRows, sqlResult, error)
	begin(options driver.TxOptions) (string, error)
	drop()
}

type dialect struct {
	open func(name string) (lent, error)
}

func (d dialect) Open(name string) (driver.Conn, error) {
	host, err := d.open(name)
	if err != nil {
		return nil, err
	}
	return &sqlConn{host: host}, nil
}

type sqlConn struct {
	host lent
}

// IsValid has database/sql give the connection back as soon as nobody uses it: the host keeps connections, and an
// instance in which one is left is not used again.
func (c *sqlConn) IsValid() bool { return false }

func (c *sqlConn) Close() error {
	if c.host != nil {
		c.host.drop()
		c.host = nil
	}
	return nil
}

func (c *sqlConn) Begin() (driver.Tx, error) {
	return c.BeginTx(context.Background(), driver.TxOptions{})
}

func (c *sqlConn) BeginTx(ctx context.Context, options driver.TxOptions) (driver.Tx, error) {
	statement, err := c.host.begin(options)
	if err != nil {
		return nil, err
	}
	if _, _, err := c.run(ctx, statement, nil, false); err != nil {
		return nil, err
	}
	return transaction{c}, nil
}

type transaction struct{ conn *sqlConn }

func (t transaction) Commit() error   { return t.end("COMMIT") }
func (t transaction) Rollback() error { return t.end("ROLLBACK") }

func (t transaction) end(statement string) error {
	_, _, err := t.conn.run(context.Background(), statement, nil, false)
	return err
}

func (c *sqlConn) run(
	ctx context.Context, statement string, parameters []driver.NamedValue, wanted bool,
) (*sqlRows, sqlResult, error) {
	if c.host == nil {
		return nil, sqlResult{}, driver.ErrBadConn
	}
	// A statement that has begun ends with the request, or when its time is up (--timeout-sql).
	if err := ctx.Err(); err != nil {
		return nil, sqlResult{}, err
	}
	values := make([]driver.Value, len(parameters))
	for at, parameter := range parameters {
		if parameter.Name != "" {
			return nil, sqlResult{}, errors.New("parameters have numbers here, and no names")
		}
		values[at] = parameter.Value
	}
	return c.host.run(statement, values, wanted)
}

func (c *sqlConn) ExecContext(ctx context.Context, statement string, all []driver.NamedValue) (driver.Result, error) {
	_, done, err := c.run(ctx, statement, all, false)
	if err != nil {
		return nil, err
	}
	return done, nil
}

func (c *sqlConn) QueryContext(ctx context.Context, statement string, all []driver.NamedValue) (driver.Rows, error) {
	found, _, err := c.run(ctx, statement, all, true)
	if err != nil {
		return nil, err
	}
	return found, nil
}

func (c *sqlConn) Ping(ctx context.Context) error {
	_, _, err := c.run(ctx, "SELECT 1", nil, true)
	return err
}

func (c *sqlConn) Prepare(statement string) (driver.Stmt, error) {
	return prepared{c, statement}, nil
}

// A prepared statement is a text: the host prepares each when it is run.
type prepared struct {
	conn      *sqlConn
	statement string
}

func (p prepared) Close() error  { return nil }
func (p prepared) NumInput() int { return -1 }

func (p prepared) Exec(all []driver.Value) (driver.Result, error) {
	return p.ExecContext(context.Background(), named(all))
}

func (p prepared) Query(all []driver.Value) (driver.Rows, error) {
	return p.QueryContext(context.Background(), named(all))
}

func (p prepared) ExecContext(ctx context.Context, all []driver.NamedValue) (driver.Result, error) {
	return p.conn.ExecContext(ctx, p.statement, all)
}

func (p prepared) QueryContext(ctx context.Context, all []driver.NamedValue) (driver.Rows, error) {
	return p.conn.QueryContext(ctx, p.statement, all)
}

func named(all []driver.Value) []driver.NamedValue {
	values := make([]driver.NamedValue, len(all))
	for at, value := range all {
		values[at] = driver.NamedValue{Ordinal: at + 1, Value: value}
	}
	return values
}

type sqlResult struct {
	changed int64
	// Of the row that was inserted last, where the database says so.
	inserted *int64
}

func (r sqlResult) RowsAffected() (int64, error) { return r.changed, nil }

func (r sqlResult) LastInsertId() (int64, error) {
	if r.inserted == nil {
		return 0, errors.New("PostgreSQL does not say which row was inserted last; use RETURNING")
	}
	return *r.inserted, nil
}

// All rows of an answer.
type sqlRows struct {
	columns []string
	kinds   []string
	values  [][]driver.Value
}

func (r *sqlRows) Columns() []string { return r.columns }
func (r *sqlRows) Close() error      { return nil }

func (r *sqlRows) Next(to []driver.Value) error {
	if len(r.values) == 0 {
		return io.EOF
	}
	copy(to, r.values[0])
	r.values = r.values[1:]
	return nil
}

func (r *sqlRows) ColumnTypeDatabaseTypeName(column int) string {
	if column >= len(r.kinds) {
		return ""
	}
	return strings.ToUpper(r.kinds[column])
}

// The parameters of a statement, as a list of the host's: `set` writes each of them.
func listed[V any](
	pinner *runtime.Pinner, parameters []driver.Value, set func(*V, *runtime.Pinner, driver.Value) error,
) (span, error) {
	values := make([]V, len(parameters))
	for at, parameter := range parameters {
		if err := set(&values[at], pinner, parameter); err != nil {
			return span{}, err
		}
	}
	if len(values) == 0 {
		return span{}, nil
	}
	pinner.Pin(&values[0])
	return span{uint32(uintptr(unsafe.Pointer(&values[0]))), uint32(len(values))}, nil
}

func unknown(value driver.Value) error {
	return fmt.Errorf("a %T cannot be a parameter", value)
}

// What a call wrote is read by this: the collector does not know what the host's words point to, and nobody else may
// run who would let go of it.
func readingOf(read func()) {
	runtime.WasmserveHold(true)
	defer runtime.WasmserveHold(false)
	read()
}
