package contract

import (
	"slices"

	"zujian/domain"
)

// certificate is the first version, as filed.
func certificate(t Terms, contentHash, filingNo, authority string, filedOn domain.Day) Certificate {
	return Certificate{
		FilingNo: filingNo, ContentHash: contentHash, Authority: authority, FiledOn: filedOn, Unit: t.Unit, Rooms: t.Rooms, Use: t.Use,
		Start: t.Start, End: t.End, RentFen: t.MonthlyRentFen, Lessors: partyIDs(t.Lessors), Lessees: partyIDs(t.Lessees),
	}
}

// next is the version that a change of the terms makes of c.
func (c Certificate) next(t Terms, on, from domain.Day) Certificate {
	n := certificate(t, Hash(t), c.FilingNo, c.Authority, c.FiledOn)
	n.ChangeNo, n.ChangedOn, n.EffectiveFrom, n.Replaces = c.ChangeNo+1, on, from, c.Hash()
	return n
}

// CertificateVersions are all versions of the filing certificate, the one as filed first; none before the filing. Each
// names the hash of the one before, so that the latest stands for all.
func (s State) CertificateVersions() []Certificate {
	switch {
	case s.CertificateHash == "" || s.Origin == OriginLegacy:
		return nil
	case len(s.Certificates) > 0:
		return s.Certificates
	}
	return []Certificate{certificate(s.Terms, s.ContentHash, s.FilingNo, s.Authority, s.FiledOn)}
}

// nextCertificateHash is what the certificate's next version will hash to; "" while there is none.
func (s State) nextCertificateHash(t Terms, on, from domain.Day) string {
	versions := s.CertificateVersions()
	if len(versions) == 0 {
		return ""
	}
	return versions[len(versions)-1].next(t, on, from).Hash()
}

// changedTerms puts new terms in force, and a filed contract's certificate a version on.
func (s State) changedTerms(t Terms, on, from domain.Day) State {
	if versions := s.CertificateVersions(); len(versions) > 0 {
		next := versions[len(versions)-1].next(t, on, from)
		s.Certificates, s.CertificateHash = append(slices.Clip(versions), next), next.Hash()
	}
	s.Terms = t
	return s
}
