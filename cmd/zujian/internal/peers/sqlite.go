package peers

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"

	_ "modernc.org/sqlite" // Registers the driver "sqlite".
)

// schema is the table of events, alike in SQLite and Postgres but for the names of types.
const schema = `CREATE TABLE events (
	position %s,
	stream   TEXT NOT NULL,
	revision BIGINT NOT NULL,
	id       %[2]s NOT NULL UNIQUE,
	type     TEXT NOT NULL,
	meta     %[2]s NOT NULL,
	data     %[2]s NOT NULL,
	UNIQUE (stream, revision)
)`

const sqliteReaders = 4

// sqlite writes all that wait in one transaction: one connection writes, others read.
type sqlite struct {
	*grouped
	writer, readers *sql.DB
	insert, load    *sql.Stmt
}

// SQLite makes a database in dir: write-ahead log, synchronised at every commit.
func SQLite(ctx context.Context, dir string) (_ Peer, err error) {
	dsn := "file:" + filepath.Join(dir, "events.db") + "?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(10000)"
	p := &sqlite{}
	p.grouped = &grouped{write: p.write}
	defer func() {
		if err != nil {
			err = fmt.Errorf("SQLite: %w", errors.Join(err, p.Close()))
		}
	}()
	if p.writer, err = sql.Open("sqlite", dsn+"&_txlock=immediate"); err != nil {
		return nil, err
	}
	p.writer.SetMaxOpenConns(1)
	if _, err = p.writer.ExecContext(ctx, fmt.Sprintf(schema, "INTEGER PRIMARY KEY", "BLOB")); err != nil {
		return nil, err
	}
	if p.insert, err = p.writer.PrepareContext(ctx, "INSERT INTO events (stream, revision, id, type, meta, data) VALUES (?, ?, ?, ?, ?, ?)"); err != nil {
		return nil, err
	}
	if p.readers, err = sql.Open("sqlite", dsn); err != nil {
		return nil, err
	}
	p.readers.SetMaxOpenConns(sqliteReaders)
	p.load, err = p.readers.PrepareContext(ctx, "SELECT revision, type, meta, data FROM events WHERE stream = ? ORDER BY revision")
	return p, err
}

func (p *sqlite) Append(_ context.Context, e Event) error { return p.append(e) }

func (p *sqlite) write(events []Event) (err error) {
	tx, err := p.writer.Begin()
	if err != nil {
		return err
	}
	insert := tx.Stmt(p.insert)
	for _, e := range events {
		if _, err := insert.Exec(e.Stream, e.Revision, e.ID[:], e.Type, e.Meta, e.Data); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	return tx.Commit()
}

func (p *sqlite) Load(ctx context.Context, stream string) (n int, err error) {
	rows, err := p.load.QueryContext(ctx, stream)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var e Event
	for ; rows.Next(); n++ {
		if err := rows.Scan(&e.Revision, &e.Type, &e.Meta, &e.Data); err != nil {
			return n, err
		}
	}
	return n, rows.Err()
}

func (p *sqlite) Close() (err error) {
	for _, db := range []*sql.DB{p.readers, p.writer} {
		if db != nil {
			err = errors.Join(err, db.Close())
		}
	}
	return err
}
