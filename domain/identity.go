package domain

import (
	"regexp"
	"strings"
	"time"
)

// Document kinds of natural persons (证件类型), domain.md §4.3.
const (
	DocCNID         = "CN_ID"         // 居民身份证, GB 11643
	DocHMTResidence = "HMT_RESIDENCE" // 港澳台居民居住证
	DocHMPermit     = "HM_PERMIT"     // 港澳居民来往内地通行证
	DocTWPermit     = "TW_PERMIT"     // 台湾居民来往大陆通行证
	DocPassport     = "PASSPORT"
	DocForeignPR    = "FOREIGN_PR" // 外国人永久居留身份证
	DocMilitary     = "MILITARY"
	DocUSCC         = "USCC" // 统一社会信用代码, GB 32100
)

// Rejections of identifiers. No detail repeats the value.
var (
	ErrIDChecksum   = Reject("party.id_checksum", "the document number's check digit, date or form is wrong (GB 11643)")
	ErrUSCCChecksum = Reject("party.uscc_checksum", "the unified social credit code's check digit or form is wrong (GB 32100)")
	ErrDocFormat    = Reject("party.doc_format", "the document number does not have the form of its kind")
	ErrPhoneFormat  = Reject("party.phone_format", "the phone number is not a mainland mobile or landline number")
)

var (
	docForms = map[string]*regexp.Regexp{
		DocHMPermit:  regexp.MustCompile(`^[HM]\d{8,10}$`),
		DocTWPermit:  regexp.MustCompile(`^(\d{8}|\d{10})$`),
		DocPassport:  regexp.MustCompile(`^[A-Z0-9]{5,17}$`),
		DocForeignPR: regexp.MustCompile(`^(9\d{17}|[A-Z]{3}\d{12})$`),
		DocMilitary:  regexp.MustCompile(`^[\p{Han}A-Z0-9]{6,20}$`),
	}
	mobileForm   = regexp.MustCompile(`^1[3-9]\d{9}$`)
	landlineForm = regexp.MustCompile(`^0\d{2,3}-?\d{7,8}(-\d{1,5})?$`)
)

// NormalDocNo trims spaces and upper-cases. The edge applies NFKC before it.
func NormalDocNo(s string) string { return strings.ToUpper(strings.TrimSpace(s)) }

// CheckDocNo tests a normalised document number against its kind. today bounds the birth date inside it.
func CheckDocNo(kind, no string, today Day) error {
	switch kind {
	case DocCNID, DocHMTResidence:
		hmt := strings.HasPrefix(no, "81") || strings.HasPrefix(no, "82") || strings.HasPrefix(no, "83")
		if hmt != (kind == DocHMTResidence) || !checkID18(no, today) {
			return ErrIDChecksum
		}
		return nil
	case DocUSCC:
		if !CheckUSCC(no) {
			return ErrUSCCChecksum
		}
		return nil
	}
	form, known := docForms[kind]
	if !known || !form.MatchString(no) {
		return ErrDocFormat
	}
	return nil
}

func checkID18(no string, today Day) bool {
	if len(no) != 18 {
		return false
	}
	weights := [17]int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2}
	sum := 0
	for i, w := range weights {
		if no[i] < '0' || no[i] > '9' {
			return false
		}
		sum += int(no[i]-'0') * w
	}
	if "10X98765432"[sum%11] != no[17] {
		return false
	}
	born, err := time.Parse("20060102", no[6:14])
	return err == nil && born.Year() >= 1850 && Date(born.Date()) <= today
}

// BirthDay is the date inside a valid 18-digit number; ok is false for other kinds.
func BirthDay(kind, no string) (Day, bool) {
	if (kind != DocCNID && kind != DocHMTResidence) || len(no) != 18 {
		return 0, false
	}
	born, err := time.Parse("20060102", no[6:14])
	if err != nil {
		return 0, false
	}
	return Date(born.Date()), true
}

const usccSymbols = "0123456789ABCDEFGHJKLMNPQRTUWXY"

// CheckUSCC tests a unified social credit code (GB 32100-2015), inner organisation code included (GB 11714).
func CheckUSCC(no string) bool {
	if len(no) != 18 {
		return false
	}
	weights := [17]int{1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28}
	sum := 0
	for i, w := range weights {
		v := strings.IndexByte(usccSymbols, no[i])
		if v < 0 {
			return false
		}
		sum += v * w
	}
	if usccSymbols[(31-sum%31)%31] != no[17] {
		return false
	}
	inner := [8]int{3, 7, 9, 10, 5, 8, 4, 2}
	sum = 0
	for i, w := range inner {
		c := no[8+i]
		v := int(c - '0')
		if c >= 'A' {
			v = int(c-'A') + 10
		}
		sum += v * w
	}
	want := byte('0')
	switch c := 11 - sum%11; c {
	case 10:
		want = 'X'
	case 11:
		want = '0'
	default:
		want = byte('0' + c)
	}
	return no[16] == want
}

var phoneMarks = strings.NewReplacer(" ", "", "-", "")

// NormalPhone strips "+86", spaces and hyphens of a mobile number and checks the form; a landline keeps its hyphens.
func NormalPhone(s string) (string, error) {
	s = strings.TrimSpace(s)
	if landlineForm.MatchString(s) {
		return s, nil
	}
	m := strings.TrimPrefix(phoneMarks.Replace(s), "+86")
	if !mobileForm.MatchString(m) {
		return "", ErrPhoneFormat
	}
	return m, nil
}

const check37 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ*"

// CheckChar37 is the ISO 7064 MOD 37-2 check character of body, whose characters are 0-9A-Z. ok is false otherwise.
func CheckChar37(body string) (c byte, ok bool) {
	p := 0
	for i := range len(body) {
		v := strings.IndexByte(check37[:36], body[i])
		if v < 0 {
			return 0, false
		}
		p = (p + v) * 2 % 37
	}
	return check37[(38-p)%37], true
}

// ValidNumber tests a number of the register (核验码 HY…, 备案号 BA…): 18 characters and their check character.
func ValidNumber(no string) bool {
	if len(no) != 19 {
		return false
	}
	c, ok := CheckChar37(no[:18])
	return ok && c == no[18]
}

// IsDigits reports whether s is n digits.
func IsDigits(s string, n int) bool {
	return len(s) == n && !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}

// IsRealEstateNo reports whether s may stand for a real estate unit number (不动产单元号): 28 digits and capitals (TD/T 1063), or none.
func IsRealEstateNo(s string) bool {
	return s == "" || len(s) == 28 && !strings.ContainsFunc(s, func(r rune) bool { return (r < '0' || r > '9') && (r < 'A' || r > 'Z') })
}
