// An application that keeps rows in databases which the server grants it by a name:
//
//	wasmserve database.wasm --postgres app=postgres://… --sqlite app=data/app.db
package main

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"time"
)

// Opening one connects to nobody yet: each statement or transaction borrows a connection of the server's.
func open(driver string) *sql.DB {
	db, err := sql.Open(driver, "app")
	if err != nil {
		log.Fatal(err)
	}
	return db
}

var databases = map[string]*sql.DB{
	"postgres": open("wasmserve-postgres"),
	"sqlite":   open("wasmserve-sqlite"),
}

type note struct {
	ID   int64  `json:"id"`
	Text string `json:"text"`
}

var tables = map[string]string{
	"postgres": "create table if not exists notes (id bigserial primary key, text text not null unique)",
	"sqlite":   "create table if not exists notes (id integer primary key, text text not null unique)",
}

func main() {
	http.HandleFunc("POST /{kind}/tables", func(w http.ResponseWriter, r *http.Request) {
		_, err := database(r).ExecContext(r.Context(), tables[r.PathValue("kind")])
		answer(w, nil, err)
	})
	http.HandleFunc("GET /{kind}/notes", func(w http.ResponseWriter, r *http.Request) {
		notes, err := list(r)
		answer(w, notes, err)
	})
	// All notes of a request are added, or none.
	http.HandleFunc("POST /{kind}/notes", func(w http.ResponseWriter, r *http.Request) {
		var texts []string
		if err := json.NewDecoder(r.Body).Decode(&texts); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		notes, err := add(r, texts)
		answer(w, notes, err)
	})
	http.HandleFunc("DELETE /{kind}/notes", func(w http.ResponseWriter, r *http.Request) {
		done, err := database(r).ExecContext(r.Context(), "delete from notes")
		if err != nil {
			answer(w, nil, err)
			return
		}
		count, err := done.RowsAffected()
		answer(w, count, err)
	})
	// What a value is here, and what its type is called there.
	http.HandleFunc("POST /{kind}/value", func(w http.ResponseWriter, r *http.Request) {
		var asked struct {
			Statement  string
			Parameters []any
		}
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		value, err := first(r, asked.Statement, asked.Parameters)
		answer(w, value, err)
	})
	log.Fatal(http.ListenAndServe(":8080", nil))
}

func database(r *http.Request) *sql.DB { return databases[r.PathValue("kind")] }

func list(r *http.Request) ([]note, error) {
	rows, err := database(r).QueryContext(r.Context(), "select id, text from notes order by id")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	notes := []note{}
	for rows.Next() {
		var found note
		if err := rows.Scan(&found.ID, &found.Text); err != nil {
			return nil, err
		}
		notes = append(notes, found)
	}
	return notes, rows.Err()
}

func add(r *http.Request, texts []string) ([]note, error) {
	tx, err := database(r).BeginTx(r.Context(), nil)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback()
	var notes []note
	for _, text := range texts {
		added := note{Text: text}
		row := tx.QueryRowContext(r.Context(), "insert into notes (text) values ($1) returning id", text)
		if err := row.Scan(&added.ID); err != nil {
			return nil, err
		}
		notes = append(notes, added)
	}
	return notes, tx.Commit()
}

func first(r *http.Request, statement string, parameters []any) (string, error) {
	rows, err := database(r).QueryContext(r.Context(), statement, parameters...)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	var value any
	if !rows.Next() {
		return "nothing", rows.Err()
	}
	kinds, err := rows.ColumnTypes()
	if err == nil {
		err = rows.Scan(&value)
	}
	if err != nil {
		return "", err
	}
	switch it := value.(type) {
	case []byte:
		value = string(it)
	case time.Time:
		value = it.Format(time.RFC3339Nano)
	}
	return fmt.Sprintf("%T %v %s", value, value, kinds[0].DatabaseTypeName()), nil
}

func answer(w http.ResponseWriter, value any, err error) {
	// Drivers for PostgreSQL have the code of an error by this method.
	var told interface{ SQLState() string }
	switch {
	case errors.As(err, &told) && told.SQLState() == "23505":
		http.Error(w, "there is one already", http.StatusConflict)
	case err != nil:
		log.Print(err)
		http.Error(w, err.Error(), http.StatusInternalServerError)
	default:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(value)
	}
}
