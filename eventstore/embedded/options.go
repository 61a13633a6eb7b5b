package embedded

import (
	"crypto/rand"
	"io"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"zujian/eventstore"
	"zujian/eventstore/folder"
)

const (
	segmentBytesDefault = 64 << 20
	segmentBytesFirst   = 4 << 20               // Zeroing it takes milliseconds.
	segmentBytesMin     = 4 << 10               // Tests roll often.
	lentBytesMin        = 16 << 20              // Smaller segments are copied from: they may be many, and what is lent stays mapped.
	segmentGrowth       = 4                     // How much larger the next segment is, up to SegmentBytes.
	zeroPauseMax        = 20 * time.Millisecond // Between two pieces of zeroes, however slow the disk.
	groupBytesMax       = 4 << 20               // A group takes no further append beyond this, which bounds its latency.
	queueAppendsMax     = 16 << 10              // Appends waiting for a group; beyond it they are shed.
	queueBytesMax       = 64 << 20              // The same in bytes.
	queueAgeDefault     = time.Second
	clockBehind         = time.Minute // The clock may be set back so far, or jitter, without a word.
	headsDefault        = 1 << 18     // Streams whose end is kept in memory: about 26 MiB.
	indexLagGroups      = 8           // Groups the index may be behind the log.
	indexMemory         = 16 << 20    // Held before it is written as a table; twice that while it is.
	indexL0             = 8           // Tables above each other, each of one memory, that are merged: twice as many as usual, of half the size.
	ballastShare        = 4           // The ballast is this part of ReserveBytes.
	lockName            = "LOCK"
	indexName           = "index"
	indexDamagedName    = "index.damaged" // Says that the next open must rebuild it.
	spareName           = "next.tmp"
	segmentSuffix       = ".seg"
)

// Options configure a store. Only Dir is mandatory; the zero value of every other field is a sound default.
type Options struct {
	Dir          string
	FS           vfs.FS           // The real disk if nil.
	SegmentBytes int64            // Size of a full-grown segment, 64 MiB if 0, at least 4 KiB.
	Now          func() time.Time // Recorded time, kept monotone by the store; time.Now if nil.
	Rand         io.Reader        // Salts and the log's id; crypto/rand if nil.
	Suite        byte             // Of the salts it draws: eventstore.SaltINTL, also if 0, or SaltGM.
	Logger       *slog.Logger     // Discarded if nil.
	QueueAge     time.Duration    // An append is shed when one has waited this long unwritten; a second if 0.
	Heads        int              // Streams whose end is kept in memory, 262,144 if 0.
	NoMmap       bool             // Read with pread even where a segment could be mapped.

	// ReserveBytes of the disk are left free: below it appends are refused with ErrFull. A quarter of it lies ready as a
	// file, "ballast", that is given back then. 0 watches nothing. See package room.
	ReserveBytes int64

	// Fatal is called when the index can't keep its promises any more. It must not return, and should end the process:
	// what is open stays locked. A panic if nil.
	Fatal func(error)

	// DeferSync acknowledges before the data is durable, until Sync is called. Only for loading a folder that is
	// thrown away when the load fails.
	DeferSync bool

	lend     int64 // Test hook: lentBytesMin if 0.
	skipSync bool  // Test hook: the mutant that never syncs and says it did.
}

func (o Options) withDefaults() Options {
	if o.FS == nil {
		o.FS = folder.Real()
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = segmentBytesDefault
	}
	o.SegmentBytes = max(o.SegmentBytes, segmentBytesMin)
	if o.lend == 0 {
		o.lend = lentBytesMin
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Suite == 0 {
		o.Suite = eventstore.SaltINTL
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Fatal == nil {
		o.Fatal = func(err error) { panic(err) }
	}
	if o.QueueAge == 0 {
		o.QueueAge = queueAgeDefault
	}
	if o.Heads == 0 {
		o.Heads = headsDefault
	}
	return o
}
