#!/usr/bin/env python3
"""Checks a Zujian register from the specifications alone: RFC 6962, C2SP signed-note, checkpoint and tlog-tiles.
  verify.py KEY URL             the last checkpoint is signed by KEY, and its tiles hash to its root
  verify.py KEY answer.json     a filing's certificate (or an answer of /v1/proofs/inclusion) is under a signed checkpoint

KEY is the register's Ed25519 verifier key; get it from somebody you trust. Needs python3 and openssl.
"""
import base64, hashlib, json, subprocess, sys, tempfile, urllib.request

def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()
def node(left, right):
    return sha(b"\x01", left, right)
def fail(why):
    sys.exit("NOT VALID: " + why)

def signed(note, key):
    """The origin, size and root of a signed note, once its signature by key is checked."""
    name, keyid, pub = key.split("+", 2)
    pub = base64.b64decode(pub)
    if pub[0] != 1 or sha(name.encode(), b"\n", pub)[:4].hex() != keyid:
        fail("the verifier key is malformed")
    text, _, lines = note.rpartition("\n\n")
    text += "\n"
    for line in lines.splitlines():
        _, who, sig = line.split(" ")
        sig = base64.b64decode(sig)
        if who == name and sig[:4].hex() == keyid:
            with tempfile.TemporaryDirectory() as d:
                for file, data in (("key", bytes.fromhex("302a300506032b6570032100") + pub[1:]), ("sig", sig[4:]), ("text", text.encode())):
                    open(d + "/" + file, "wb").write(data)
                ok = subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", d + "/key", "-rawin",
                                     "-in", d + "/text", "-sigfile", d + "/sig"], capture_output=True).returncode == 0
            origin, size, root = text.splitlines()[:3]
            if not ok or origin != name:
                fail("the checkpoint's signature is wrong, or it is another register's: " + origin)
            return int(size), base64.b64decode(root)
    fail("the checkpoint is not signed by this key")

def included(leaf, index, size, hashes):
    """The root that a leaf at index of size leaves and its audit path lead to (RFC 6962 2.1.1)."""
    at, last, hash = index, size - 1, sha(b"\x00", leaf)
    if index >= size:
        fail("the leaf is not in a tree of this size")
    for h in hashes:
        if last == 0:
            fail("the proof is too long")
        if at & 1 or at == last:
            hash = node(h, hash)
            while at & 1 == 0 and at:
                at, last = at >> 1, last >> 1
        else:
            hash = node(hash, h)
        at, last = at >> 1, last >> 1
    if last:
        fail("the proof is too short")
    return hash

def tree(hashes):
    """The root over leaf hashes (RFC 6962 2.1), by merging full subtrees."""
    stack = []
    for n, h in enumerate(hashes):
        while n & 1:
            h, n = node(stack.pop(), h), n >> 1
        stack.append(h)
    while len(stack) > 1:
        stack.append(node(*(stack.pop(), stack.pop())[::-1]))
    return stack[0]

def tiles(url, size):
    """The leaf hashes of the first size leaves, from the bundles of entries."""
    for n in range((size + 255) // 256):
        width, name = min(256, size - 256 * n), "%03d" % (n % 1000)
        while n >= 1000:
            n //= 1000
            name = "x%03d/%s" % (n % 1000, name)
        data = urllib.request.urlopen(url + "/tile/entries/" + name + (".p/%d" % width if width < 256 else "")).read()
        for _ in range(width):
            end = 2 + int.from_bytes(data[:2], "big")
            yield sha(b"\x00", data[2:end])
            data = data[end:]

def main(key, what):
    if what.startswith("http"):
        size, root = signed(urllib.request.urlopen(what + "/checkpoint").read().decode(), key)
        if size and tree(tiles(what, size)) != root:
            fail("the tiles do not hash to the signed root")
        return print("VALID: %d events under the signed root %s" % (size, root.hex()))
    r = json.load(open(what))
    r = r.get("receipt", r)
    p = r if "checkpoint" in r else r.get("proof") or fail("the receipt has no proof yet; the certificate has, a second later")
    size, root = signed(p["checkpoint"], key)
    leaf, index = base64.b64decode(r["leaf"]), r["leaf_index"]
    if included(leaf, index, size, [base64.b64decode(h) for h in p["hashes"]]) != root or int.from_bytes(leaf[2:10], "little") != index:
        fail("the leaf is not under the signed root")
    print("VALID: event %d is one of %d under the signed root %s" % (index, size, root.hex()))

if __name__ == "__main__":
    main(*sys.argv[1:]) if len(sys.argv) == 3 else sys.exit(__doc__)
