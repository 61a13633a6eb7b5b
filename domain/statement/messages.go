package statement

import "zujian/domain"

// Kind is what is wrong with one transaction.
type Kind string

// Kinds of discrepancy (差错).
const (
	MissingInLedger Kind = "MISSING_IN_LEDGER"
	MissingInBank   Kind = "MISSING_IN_BANK"
	Amount          Kind = "AMOUNT"
	Duplicate       Kind = "DUPLICATE"
)

// Classification is how a discrepancy was explained.
type Classification string

// Classifications.
const (
	LedgerPosted Classification = "LEDGER_POSTED" // The ledger now has the entry (a late or corrected booking).
	Suspense     Classification = "SUSPENSE"      // Money nobody claims yet; kept in the bank's suspense account.
	Timing       Classification = "TIMING"        // The bank books it on another day.
	BankError    Classification = "BANK_ERROR"    // The bank corrects its own books.
	FeeInterest  Classification = "FEE_INTEREST"  // The bank's fee or interest, outside the tenants' money.
)

// Line is one line of the bank's statement; AmountFen is signed, positive = into the account.
type Line struct {
	TxnID     string     `json:"txn_id"`
	AmountFen domain.Fen `json:"amount_fen"`
	ValueDate domain.Day `json:"value_date"`
	Contract  string     `json:"contract,omitempty"`
}

// Entry is one cash entry of the ledgers of that bank and day, signed like Line.
type Entry struct {
	TxnID     string     `json:"txn_id"`
	AmountFen domain.Fen `json:"amount_fen"`
	Contract  string     `json:"contract"`
}

// Command is a request to a bank's day.
//
//sumtype:decl
type Command interface{ isCommand() }

// Import compares a bank's day with the ledgers. The same statement again is nothing, another one is refused.
type Import struct {
	Bank        string
	Date        domain.Day
	OpeningFen  domain.Fen
	ClosingFen  domain.Fen
	Lines       []Line
	Ledger      []Entry
	PrevClosing *domain.Fen // Closing balance of the bank's last day on record before Date.
	NextOpening *domain.Fen // Opening balance of the bank's first day on record after Date (late statements).
	ComparedTo  uint64      // Position of the log that Ledger goes to.
}

// Resolve explains one discrepancy. Line is its number, from 1.
type Resolve struct {
	Line           int
	Classification Classification
	Contract       string // Where the money was booked, for LEDGER_POSTED.
	Note           string
}

// BookLate compares an entry that the ledgers made after the day's statement was in. What the statement shows as unknown to
// the ledgers is met by it; anything else is one more discrepancy. The reconciling process sends it.
type BookLate struct{ Entry Entry }

func (Import) isCommand()   {}
func (Resolve) isCommand()  {}
func (BookLate) isCommand() {}

// Event is a fact of a bank's day. JSON names are the storage format.
//
//sumtype:decl
type Event interface {
	domain.Event
	isEvent()
}

// Imported holds the statement (对账单) and how it compares: every line and every ledger entry is either matched or
// named by one discrepancy that follows.
type Imported struct {
	Bank       string     `json:"bank"`
	Date       domain.Day `json:"date"`
	OpeningFen domain.Fen `json:"opening_fen"`
	ClosingFen domain.Fen `json:"closing_fen"`
	LedgerFen  domain.Fen `json:"ledger_fen"` // Σ of the ledgers' cash entries.
	Lines      []Line     `json:"lines"`
	Matched    int        `json:"matched"`
	Found      int        `json:"found"` // Discrepancies.

	// ComparedTo is the position that the ledgers were read to: what they say between it and this event is late. 0 is not known.
	ComparedTo uint64 `json:"compared_to,omitempty"`
}

// DiscrepancyFound is one difference. BankFen − LedgerFen is what it explains of closing − opening − ledger.
type DiscrepancyFound struct {
	Line      int        `json:"line"` // Its number, from 1.
	Kind      Kind       `json:"kind"`
	TxnID     string     `json:"txn_id"`
	BankFen   domain.Fen `json:"bank_fen"`
	LedgerFen domain.Fen `json:"ledger_fen"`
	Contract  string     `json:"contract,omitempty"`
	Bank      string     `json:"bank"`
	Date      domain.Day `json:"date"`
	Late      bool       `json:"late,omitempty"` // The entry came after the statement: LedgerFen is not in Imported's.
}

// DiscrepancyResolved explains one.
type DiscrepancyResolved struct {
	Line           int            `json:"line"`
	Classification Classification `json:"classification"`
	Contract       string         `json:"contract,omitempty"`
	Note           string         `json:"note,omitempty"`
	Bank           string         `json:"bank"`
	Date           domain.Day     `json:"date"`
}

// DayReconciled means nothing is left unexplained.
type DayReconciled struct {
	Bank         string     `json:"bank"`
	Date         domain.Day `json:"date"`
	ClosingFen   domain.Fen `json:"closing_fen"`
	LedgerFen    domain.Fen `json:"ledger_fen"`
	ExplainedFen domain.Fen `json:"explained_fen"` // Σ (bank − ledger) of its discrepancies.
}

// EventType names the stored type.
func (Imported) EventType() string            { return "statement.imported" }
func (DiscrepancyFound) EventType() string    { return "statement.discrepancy_found" }
func (DiscrepancyResolved) EventType() string { return "statement.discrepancy_resolved" }
func (DayReconciled) EventType() string       { return "statement.day_reconciled" }

func (Imported) isEvent()            {}
func (DiscrepancyFound) isEvent()    {}
func (DiscrepancyResolved) isEvent() {}
func (DayReconciled) isEvent()       {}

// Types is the storage format. Names and past versions never change.
var Types = []domain.Type{
	domain.Stored[Imported](), domain.Stored[DiscrepancyFound](), domain.Stored[DiscrepancyResolved](), domain.Stored[DayReconciled](),
}
