package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"zujian/domain"
)

const (
	overloadConns     = 512 // Connections of the load; an arrival that finds none free is lost on the client's side.
	overloadKept      = 80  // Per cent of the peak that must remain under ten times the load.
	overloadTick      = 2 * time.Millisecond
	overloadHomesRate = 6000 // A second; more homes than that are not made ready.
)

// overloadTimes are the multiples of the peak that arrive.
var overloadTimes = []int{1, 2, 5, 10}

// benchOverload finds the peak rate of filings, then lets filings arrive at multiples of it whether or not earlier ones
// were answered, over plain connections that cost the machine little: how many are still filed, how fast those are, and
// how the rest are turned away. A filing that was shed leaves its home to a later one.
func benchOverload(b *bench) (_ []benchRow, err error) {
	g := b.below("overload")
	flats := min(max(int(b.seconds*overloadHomesRate), 4*b.clients), benchFlatsMax)
	seconds := min(b.seconds, float64(flats)/overloadHomesRate) // For as long as there are homes.
	slice := time.Duration(seconds * float64(time.Second) / float64(len(overloadTimes)+1))
	s, world, err := serveBench(b, g, flats)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	o := &overload{s: s, homes: make(chan []byte, len(world))}
	today := domain.DayOf(g.Now())
	for _, f := range world {
		o.homes <- o.request(filingBody(f, today, "E_SIGN"), f.key)
	}
	peak, err := o.peak(slice)
	if err != nil {
		return nil, err
	}
	rows := []benchRow{{Name: fmt.Sprintf("peak of filings, %d clients", b.clients), Value: peak, Unit: "filings/s"}}
	for _, times := range overloadTimes {
		b.say("%d times the peak arrives", times)
		got, err := o.arrive(peak*float64(times), slice)
		if err != nil {
			return nil, err
		}
		filed := slicing{rate: float64(len(got.took)) / slice.Seconds(), took: got.took}
		slices.Sort(filed.took)
		rows = append(rows, benchRow{
			Name:  fmt.Sprintf("filed when %d times the peak arrives; %d shed, %d lost by the client", times, got.shed, got.lost),
			Value: filed.rate, Unit: "filings/s", Limit: fmt.Sprintf("required %d %% of the peak", overloadKept), LimitValue: peak * overloadKept / 100,
			Ratio: filed.rate / (peak * overloadKept / 100), P50: filed.at(0.5), P99: filed.at(0.99),
		})
	}
	return rows, nil
}

type overload struct {
	s     *benchServer
	homes chan []byte // Requests whose home is not let yet.
}

// request is a filing as bytes, without its Idempotency-Key, which each try gets anew.
func (o *overload) request(body []byte, key string) []byte {
	return fmt.Appendf(nil, "POST /v1/filings HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nIdempotency-Key: %s\r\n\r\n%s",
		strings.TrimPrefix(o.s.url, "http://"), key, len(body), uuid.NewString(), body)
}

// conn sends one request after the other.
type overloadConn struct {
	net.Conn
	in *bufio.Reader
}

func (o *overload) dial() (*overloadConn, error) {
	c, err := net.Dial("tcp", strings.TrimPrefix(o.s.url, "http://"))
	if err != nil {
		return nil, err
	}
	return &overloadConn{c, bufio.NewReaderSize(c, 8<<10)}, nil
}

// send makes one request and gives the status of its answer.
func (c *overloadConn) send(request []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(benchHTTPTimeout)); err != nil {
		return 0, err
	}
	if _, err := c.Write(request); err != nil {
		return 0, err
	}
	res, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, errors.Join(err, res.Body.Close())
}

// peak is the rate at which as many clients as measured elsewhere file, one filing after the other.
func (o *overload) peak(length time.Duration) (float64, error) {
	var filed atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, o.s.b.clients)
	start := time.Now()
	for n := range o.s.b.clients {
		wg.Go(func() {
			c, err := o.dial()
			if err != nil {
				errs[n] = err
				return
			}
			defer func() { _ = c.Close() }() // Nothing is left to write.
			for time.Since(start) < length {
				var request []byte
				select {
				case request = <-o.homes:
				default:
					return
				}
				status, err := c.send(request)
				if err != nil {
					errs[n] = err
					return
				}
				if status != http.StatusCreated {
					errs[n] = fmt.Errorf("a filing was answered %d", status)
					return
				}
				filed.Add(1)
			}
		})
	}
	wg.Wait()
	return float64(filed.Load()) / time.Since(start).Seconds(), errors.Join(errs...)
}

// arrived is what became of one slice's arrivals.
type arrived struct {
	took       []time.Duration // Of those filed.
	shed, lost int64
}

// arrive sends filings at a rate for so long.
func (o *overload) arrive(rate float64, length time.Duration) (out arrived, err error) {
	ctx, cancel := context.WithTimeout(o.s.b.ctx, length)
	defer cancel()
	due := make(chan struct{})
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range overloadConns {
		c, e := o.dial()
		if e != nil {
			err = errors.Join(err, e)
			break
		}
		wg.Go(func() {
			defer func() { _ = c.Close() }() // Nothing is left to write.
			for range due {
				if e := o.one(c, &mu, &out); e != nil {
					mu.Lock()
					err = cmp.Or(err, e) // One of many alike.
					mu.Unlock()
					return
				}
			}
		})
	}
	start, sent := time.Now(), 0
	for tick := time.NewTicker(overloadTick); ctx.Err() == nil; <-tick.C {
		for ; float64(sent) < rate*time.Since(start).Seconds(); sent++ {
			select {
			case due <- struct{}{}:
			default:
				out.lost++
			}
		}
	}
	close(due)
	wg.Wait()
	return out, errors.Join(err, o.s.b.ctx.Err())
}

func (o *overload) one(c *overloadConn, mu *sync.Mutex, out *arrived) error {
	var request []byte
	select {
	case request = <-o.homes:
	default:
		return errors.New("the homes ran out")
	}
	start := time.Now()
	status, err := c.send(request)
	if err != nil {
		return err
	}
	took := time.Since(start)
	mu.Lock()
	defer mu.Unlock()
	switch status {
	case http.StatusCreated:
		out.took = append(out.took, took)
	case http.StatusServiceUnavailable:
		out.shed++
		o.homes <- request // As many places as homes.
	default:
		return fmt.Errorf("a filing was answered %d", status)
	}
	return nil
}
