package peers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const startTries = 200 // Of 50 ms each, until a server answers.

// postgres gives every writer a connection; the server groups their commits.
type postgres struct {
	server server
	pool   *pgxpool.Pool
}

// Postgres makes a database of the newest installed version in dir, with so many connections, on a socket there. Its own
// settings but for the listening address: fsync and synchronous_commit are on. A Postgres refuses to run as root; it runs
// as the user "postgres" then.
func Postgres(ctx context.Context, dir string, connections int) (_ Peer, err error) {
	bin, err := postgresBin()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("Postgres: %w", err)
		}
	}()
	attr, err := asPostgres(dir)
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	init := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", data, "-U", "bench", "-A", "trust", "-E", "UTF8", "--locale=C")
	init.SysProcAttr, init.Dir = attr, dir
	if said, err := init.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %.300s", err, said)
	}
	run := exec.Command(filepath.Join(bin, "postgres"), "-D", data, "-k", dir, "-c", "listen_addresses=", "-c", fmt.Sprintf("max_connections=%d", connections+8))
	run.SysProcAttr, run.Dir = attr, dir
	p := &postgres{}
	if p.server, err = start(run, os.Interrupt); err != nil { // An interrupt is its fast shutdown.
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	conf, err := pgxpool.ParseConfig(fmt.Sprintf("host=%s user=bench dbname=postgres pool_max_conns=%d", dir, connections))
	if err != nil {
		return nil, err
	}
	if p.pool, err = pgxpool.NewWithConfig(ctx, conf); err != nil {
		return nil, err
	}
	if err = Until(ctx, p.pool.Ping); err != nil {
		return nil, err
	}
	_, err = p.pool.Exec(ctx, fmt.Sprintf(schema, "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "BYTEA"))
	return p, err
}

// postgresBin is where Debian and its kin keep the programs of the newest version, or where PATH has them.
func postgresBin() (string, error) {
	best, at := "", 0
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	for _, f := range found {
		if v, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(f)))); err == nil && v > at {
			best, at = filepath.Dir(f), v
		}
	}
	if best != "" {
		return best, nil
	}
	f, err := exec.LookPath("initdb")
	if err != nil {
		return "", fmt.Errorf("postgres is %w", ErrNotInstalled)
	}
	return filepath.Dir(f), nil
}

// asPostgres hands dir to the user "postgres" when we are root, and says how to run as that user.
func asPostgres(dir string) (*syscall.SysProcAttr, error) {
	if os.Getuid() != 0 {
		return &syscall.SysProcAttr{}, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("a user to run it as: %w", err)
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	if err := os.Chown(dir, int(uid), int(gid)); err != nil {
		return nil, err
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
}

// Until tries again until a server that was just started answers.
func Until(ctx context.Context, try func(context.Context) error) (err error) {
	for range startTries {
		if err = try(ctx); err == nil || ctx.Err() != nil {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
	return err
}

func (p *postgres) Append(ctx context.Context, e Event) error {
	_, err := p.pool.Exec(ctx, "INSERT INTO events (stream, revision, id, type, meta, data) VALUES ($1, $2, $3, $4, $5, $6)",
		e.Stream, e.Revision, e.ID[:], e.Type, e.Meta, e.Data)
	return err
}

func (p *postgres) Load(ctx context.Context, stream string) (n int, err error) {
	rows, err := p.pool.Query(ctx, "SELECT revision, type, meta, data FROM events WHERE stream = $1 ORDER BY revision", stream)
	if err != nil {
		return 0, err
	}
	var e Event
	_, err = pgx.ForEachRow(rows, []any{&e.Revision, &e.Type, &e.Meta, &e.Data}, func() error { n++; return nil })
	return n, err
}

func (p *postgres) Close() error {
	if p.pool != nil {
		p.pool.Close()
	}
	return p.server.end()
}
