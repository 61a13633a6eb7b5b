#!/usr/bin/env python3
"""Checks a Zujian register from the specifications alone: RFC 6962, C2SP signed-note, checkpoint and tlog-tiles.
  verify.py KEY URL             the last checkpoint is signed by KEY, and its tiles hash to its root
  verify.py KEY answer.json     a filing's certificate (or an answer of /v1/proofs/inclusion) is under a signed checkpoint
KEY is the register's Ed25519 verifier key; get it from somebody you trust. Needs python3 and openssl."""
import base64, functools, hashlib, json, subprocess, sys, tempfile, time, urllib.error, urllib.request
sha = lambda *parts: hashlib.sha256(b"".join(parts)).digest()
node = lambda left, right: sha(b"\x01", left, right)
fail = lambda why: sys.exit("NOT VALID: " + why)
text64 = lambda raw: base64.b64encode(raw).decode()
read64 = lambda text: raw if text64(raw := base64.b64decode(text)) == text else fail("this is not how base64 is written: " + text)

def signed(note, key):
    """The origin, size and root of a signed note, once its signature by key is checked."""
    name, keyid, pub = (read64(part) if n == 2 else part for n, part in enumerate(key.split("+", 2)))
    pub[0] == 1 and sha(name.encode(), b"\n", pub)[:4].hex() == keyid or fail("the verifier key is malformed")
    note.endswith("\n") or fail("the checkpoint is cut")
    text, lines = note.rpartition("\n\n")[0] + "\n", note.rpartition("\n\n")[2]
    for line in lines.splitlines():
        who, sig = line.split(" ")[1], read64(line.split(" ")[2])
        if who == name and sig[:4].hex() == keyid:
            with tempfile.TemporaryDirectory() as d:
                for file, data in (("key", bytes.fromhex("302a300506032b6570032100") + pub[1:]), ("sig", sig[4:]), ("text", text.encode())):
                    open(d + "/" + file, "wb").write(data)
                ok = subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", d + "/key", "-rawin",
                                     "-in", d + "/text", "-sigfile", d + "/sig"], capture_output=True).returncode == 0
            origin, size, root = text.splitlines()[:3]
            ok and origin == name or fail("the checkpoint's signature is wrong, or it is another register's: " + origin)
            return int(size), read64(root)
    fail("the checkpoint is not signed by this key")

def included(leaf, index, size, hashes):
    """The root that a leaf at index of size leaves and its audit path lead to (RFC 6962 2.1.1)."""
    at, last, hash = index, size - 1, sha(b"\x00", leaf)
    index < size or fail("the leaf is not in a tree of this size")
    for h in hashes:
        last or fail("the proof is too long")
        right = at & 1 or at == last
        hash = node(h, hash) if right else node(hash, h)
        while right and at & 1 == 0 and at: at, last = at >> 1, last >> 1
        at, last = at >> 1, last >> 1
    last and fail("the proof is too short")
    return hash

def tree(hashes):
    """The root over leaf hashes (RFC 6962 2.1), by merging full subtrees."""
    stack = []
    for n, h in enumerate(hashes):
        while n & 1: h, n = node(stack.pop(), h), n >> 1
        stack.append(h)
    return functools.reduce(lambda right, left: node(left, right), reversed(stack))

def fetch(url, full=None):
    """What is at url, or at full if that is gone: a partial tile that was filled since. Asks again when it asked too fast."""
    try:
        return urllib.request.urlopen(url, timeout=60).read()
    except urllib.error.HTTPError as e:
        if e.code != 429 and (e.code != 404 or not full): raise
        return fetch(full) if e.code == 404 else time.sleep(1) or fetch(url, full)

def tiles(url, size):
    """The leaf hashes of the first size leaves, from the bundles of entries."""
    for n in range((size + 255) // 256):
        width, parts = min(256, size - 256 * n), [p.zfill(3) for p in "{:,}".format(n).split(",")]
        path = url + "/tile/entries/" + "/".join(["x" + p for p in parts[:-1]] + parts[-1:])
        data = fetch(path + (".p/%d" % width if width < 256 else ""), path)
        for _ in range(width):
            end = 2 + int.from_bytes(data[:2], "big")
            yield sha(b"\x00", data[2:end])
            data = data[end:]

def stated(c):
    """The hash of what a certificate states, over its canonical JSON (RFC 8785): neither names, address nor deposit."""
    must, may = "authority content_hash end filed_on filing_no monthly_rent_fen start use", "change_no changed_on effective_from replaces_sha256 rooms"
    said = {k: v for k, v in c.items() if k in must.split() or v and k in may.split()} | {"unit": c["unit_id"]}
    said |= {side: [p["party_id"] for p in c[side]] for side in ("lessors", "lessees")}
    return sha(json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()).hex()

def main(key, what):
    if what.startswith("http"):
        url = what.rstrip("/")
        size, root = signed(fetch(url + "/checkpoint").decode(), key)
        size and tree(tiles(url, size)) != root and fail("the tiles do not hash to the signed root")
        return print("VALID: %d events under the signed root %s" % (size, root.hex()))
    r = (whole := json.load(open(what))).get("receipt", whole)
    p = r if "checkpoint" in r else r.get("proof") or fail("the receipt has no proof yet; the certificate has, a second later")
    size, root = signed(p["checkpoint"], key)
    leaf, index = read64(r["leaf"]), r["leaf_index"]
    found = int.from_bytes(leaf[2:10], "little"), included(leaf, index, size, [read64(h) for h in p["hashes"]])
    found == (index, root) or fail("the leaf is not under the signed root")
    for name, true in ("leaf_hash", text64(sha(b"\x00", leaf))), ("size", size), ("root", text64(root)), ("origin", key.split("+")[0]):
        r.get(name, p.get(name, true)) == true or fail("its %s is not %s" % (name, true))
    (told := whole.get("certificate_hash")) and stated(whole) != told and fail("the certificate was changed: its words have another hash")
    print("VALID: event %d is one of %d under the signed root %s" % (index, size, root.hex()))
    print("Ask the register at /v1/verify/filings/%s for %s" % (whole["filing_no"], told) if told else "Nothing else in it was checked.")

if __name__ == "__main__":
    sys.excepthook = lambda _, e, __: print(("NOT CHECKED: %s" if isinstance(e, OSError) else "NOT VALID: malformed: %r") % e, file=sys.stderr)
    main(*sys.argv[1:]) if len(sys.argv) == 3 else sys.exit(print(__doc__, file=sys.stderr) or 2)
