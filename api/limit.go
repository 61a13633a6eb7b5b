package api

import (
	"container/list"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	limitersMax       = 10_000 // Buckets kept; the least recently used goes first, and starts full when it returns.
	authFailuresBurst = 30     // Wrong keys from one address before 429; one more each second.
	rateWindow        = 60     // Seconds of the window that RateLimit-Policy tells of.
)

// limiters are token buckets by caller, bounded by LRU.
type limiters struct {
	perSecond, burst int
	mu               sync.Mutex
	byKey            map[string]*list.Element
	order            *list.List // Front = most recent. Values are *bucket.
}

type bucket struct {
	key string
	lim *rate.Limiter
}

func newLimiters(perSecond, burst int) *limiters {
	return &limiters{perSecond: perSecond, burst: burst, byKey: map[string]*list.Element{}, order: list.New()}
}

func (l *limiters) of(key string) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, ok := l.byKey[key]; ok {
		l.order.MoveToFront(e)
		return e.Value.(*bucket).lim
	}
	b := &bucket{key: key, lim: rate.NewLimiter(rate.Limit(l.perSecond), l.burst)}
	l.byKey[key] = l.order.PushFront(b)
	if l.order.Len() > limitersMax {
		last := l.order.Back()
		l.order.Remove(last)
		delete(l.byKey, last.Value.(*bucket).key)
	}
	return b.lim
}

// take spends one token of key and tells the headers of draft-ietf-httpapi-ratelimit-headers.
func (l *limiters) take(h http.Header, key string, now time.Time) bool {
	if l.perSecond < 0 {
		return true
	}
	lim := l.of(key)
	ok := lim.AllowN(now, 1)
	left := max(0, int(lim.TokensAt(now)))
	h.Set("RateLimit-Policy", `"default";q=`+strconv.Itoa(l.perSecond*rateWindow)+";w="+strconv.Itoa(rateWindow))
	h.Set("RateLimit", `"default";r=`+strconv.Itoa(left)+";t="+strconv.Itoa(refill(lim, left)))
	if !ok {
		h.Set("Retry-After", "1")
	}
	return ok
}

// refill is how many seconds until the bucket is full again.
func refill(lim *rate.Limiter, left int) int {
	return int(math.Ceil(float64(lim.Burst()-left) / float64(lim.Limit())))
}
