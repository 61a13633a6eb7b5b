package web

import "time"

// States of a verification code, as /v1/verify/{code} gives them.
const (
	CodeUnknown   = "UNKNOWN"   // Not one of ours.
	CodeMalformed = "MALFORMED" // The check character is wrong: a typing error.
	CodePublished = "PUBLISHED" // The only one to trust.
	CodeVerified  = "VERIFIED"  // Verified, not public.
	CodeExpired   = "EXPIRED"
	CodeSuspended = "SUSPENDED"
	CodeWithdrawn = "WITHDRAWN"
	CodeLet       = "LET"
	CodeRevoked   = "REVOKED"
	CodeReplaced  = "SUPERSEDED" // The listing has a newer code, or was changed and has none.
)

// Verify is what a code says. Nothing in it names a person or a room.
type Verify struct {
	Code      string
	State     string
	CheckedAt time.Time

	// The home.
	Address    string // To building level.
	Area       string // District and street, as people call them.
	LetMode    string
	AreaC      int64 // 0.01 ㎡
	Bedrooms   int
	RentFen    int64
	ValidUntil string
	Mortgaged  bool

	// Who is letting.
	Publisher     string // Organisations in full, persons masked.
	PublisherRole string // OWNER, COMPANY, BROKER
	PublisherOK   bool   // Identity verified, not suspended, still entitled to let it; of a business, its opening report (开业报告) published.
	Bank          string // Bank of the supervised account; "" = none shown.
	Last4         string
}

// message is the first answer: whether the home is what it says, and whether to pay.
type message struct {
	Signal         string // ok, care, stop
	Mark           string
	ZH, EN         string
	AdviceZH, AdEN string
}

var messages = map[string]message{
	CodePublished: {"ok", "✓", "房源已核验", "This home is verified", "请先看房，核对地址与租金，在平台签约后再付款。", "View the home, compare address and rent, sign on the platform, then pay."},
	CodeUnknown:   {"stop", "✕", "查无此码，请勿付款", "Unknown code. Do not pay", "这不是本平台发出的核验码。", "This code was not issued here."},
	CodeMalformed: {"stop", "✕", "核验码有误，请勿付款", "Wrong code. Do not pay", "校验位不符，请核对是否抄错；仍不符即为假码。", "The check character is wrong. Compare it again; if it stays wrong, the code is false."},
	CodeExpired:   {"stop", "✕", "核验码已过期，请勿付款", "Expired. Do not pay", "请要求出租方重新核验。", "Ask the lessor to have it verified again."},
	CodeSuspended: {"stop", "✕", "房源已暂停，请勿付款", "Suspended. Do not pay", "该房源信息正在核实。", "This listing is being checked."},
	CodeWithdrawn: {"stop", "✕", "房源已下架，请勿付款", "Withdrawn. Do not pay", "出租方已撤回该房源。", "The lessor withdrew this listing."},
	CodeLet:       {"stop", "✕", "房屋已租出，请勿付款", "Already let. Do not pay", "该房屋已有备案合同。", "A contract for this home is on file."},
	CodeRevoked:   {"stop", "✕", "核验已撤销，请勿付款", "Revoked. Do not pay", "主管部门已撤销该核验。", "The authority revoked this verification."},
	CodeVerified:  {"stop", "✕", "尚未公开发布，请勿付款", "Not public. Do not pay", "该房源已核验但未发布，请通过平台联系出租方。", "Verified but not published. Contact the lessor through the platform."},
	CodeReplaced:  {"stop", "✕", "核验码已被替换，请勿付款", "Replaced code. Do not pay", "房源信息有变更，请索取新的核验码。", "The listing changed. Ask for its new code."},
}

func (v Verify) message() message {
	m, ok := messages[v.State]
	if !ok {
		m = messages[CodeUnknown]
	}
	if m.Signal == "ok" && v.letting().Signal == "stop" {
		m = message{"stop", "✕", "房源属实，但请勿付款", "The home is real, but do not pay", "出租方存在问题，见下方。", "There is a problem with who is letting, see below."}
	}
	return m
}

// letting is the second answer: who is letting. A verified home does not make a safe firm.
func (v Verify) letting() message {
	switch {
	case v.Publisher == "" && v.PublisherRole == "":
		return message{Signal: "none"}
	case !v.PublisherOK:
		return message{
			"stop", "✕", "出租方登记不齐或已被暂停", "The lessor is not in order",
			"身份未核验、未报送开业信息、已被暂停或已无权出租，请勿付款。", "Not verified, without an opening report, suspended, or no longer entitled to let: do not pay.",
		}
	case v.PublisherRole != "OWNER" && v.Bank == "":
		return message{"care", "!", "未公示监管账户", "No supervised account shown", "租金押金请勿付给个人账户。", "Do not pay into a private account."}
	}
	return message{"ok", "✓", "出租方登记正常", "The lessor is registered", "", ""}
}
