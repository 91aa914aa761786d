// logcheck reads a published register (a folder of C2SP tlog-tiles) and checks all of it from the signature down:
// the checkpoint by the log's key, every tile of hashes against the checkpoint, every entry against the tiles.
//
//	logcheck FOLDER LOG-KEY [WITNESS-KEY...]
//
// Each witness named must have cosigned. It shares no code with Safehand: only Go and golang.org/x/mod/sumdb.
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height, width = 8, 256

// A witness verifies Ed25519 cosignatures (C2SP tlog-cosignature, type 0x04), which x/mod does not know.
type witness struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func (w witness) Name() string    { return w.name }
func (w witness) KeyHash() uint32 { return w.hash }
func (w witness) Verify(text, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	head := fmt.Sprintf("cosignature/v1\ntime %d\n", binary.BigEndian.Uint64(sig))
	return ed25519.Verify(w.key, append([]byte(head), text...), sig[8:])
}

func newWitness(vkey string) (note.Verifier, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return nil, fmt.Errorf("%q is no key", vkey)
	}
	key, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(key) != 1+ed25519.PublicKeySize || key[0] != 4 {
		return nil, fmt.Errorf("%q is no key for cosignatures", vkey)
	}
	sum := sha256.Sum256(append([]byte(parts[0]+"\n"), key...))
	if fmt.Sprintf("%x", sum[:4]) != parts[1] {
		return nil, fmt.Errorf("%q does not fit its own id", vkey)
	}
	return witness{parts[0], binary.BigEndian.Uint32(sum[:4]), ed25519.PublicKey(key[1:])}, nil
}

// A folder gives tlog its tiles: their place is tile/<level>/<number>, without tlog's element for the height.
type folder string

func (f folder) Height() int                     { return height }
func (f folder) SaveTiles([]tlog.Tile, [][]byte) {}
func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	all := make([][]byte, len(tiles))
	for i, t := range tiles {
		var err error
		if all[i], err = f.read(strings.Replace(t.Path(), "tile/8/", "tile/", 1)); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (f folder) read(path string) ([]byte, error) {
	return os.ReadFile(filepath.Join(string(f), filepath.FromSlash(path)))
}

// checkpoint gives the tree that the log, and each of the witnesses, signed.
func (f folder) checkpoint(logKey string, witnessKeys []string) (tree tlog.Tree, err error) {
	raw, err := f.read("checkpoint")
	if err != nil {
		return tree, err
	}
	log, err := note.NewVerifier(logKey)
	if err != nil {
		return tree, err
	}
	signers := []note.Verifier{log}
	for _, key := range witnessKeys {
		w, err := newWitness(key)
		if err != nil {
			return tree, err
		}
		signers = append(signers, w)
	}
	opened, err := note.Open(raw, note.VerifierList(signers...))
	if err != nil {
		return tree, err
	}
	if len(opened.Sigs) != len(signers) {
		return tree, fmt.Errorf("%d of %d have signed", len(opened.Sigs), len(signers))
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != log.Name() {
		return tree, fmt.Errorf("%q is no checkpoint of %s", opened.Text, log.Name())
	}
	if tree.N, err = strconv.ParseInt(lines[1], 10, 64); err != nil {
		return tree, err
	}
	tree.Hash, err = tlog.ParseHash(lines[2])
	return tree, err
}

// entries cuts a bundle of exactly n entries apart.
func entries(bundle []byte, n int64) ([][]byte, error) {
	all := make([][]byte, 0, n)
	for len(bundle) > 0 {
		if len(bundle) < 2 || len(bundle)-2 < int(binary.BigEndian.Uint16(bundle)) {
			return nil, fmt.Errorf("ends in the middle of entry %d", len(all))
		}
		end := 2 + int(binary.BigEndian.Uint16(bundle))
		all = append(all, bundle[2:end])
		bundle = bundle[end:]
	}
	if int64(len(all)) != n {
		return nil, fmt.Errorf("holds %d entries, not %d", len(all), n)
	}
	return all, nil
}

// check compares the entries of every bundle with the hashes in the tiles, which tlog proves to be under the signed root.
func (f folder) check(tree tlog.Tree) error {
	if tree.N == 0 {
		if tree.Hash != tlog.Hash(sha256.Sum256(nil)) {
			return fmt.Errorf("an empty tree has another root than %v", tree.Hash)
		}
		return nil
	}
	hashes := tlog.TileHashReader(tree, f)
	for first := int64(0); first < tree.N; first += width {
		n := tree.N - first
		if n > width {
			n = width
		}
		place := tlog.Tile{H: height, L: -1, N: first / width, W: int(n)}.Path()
		path := strings.Replace(place, "tile/8/data/", "tile/entries/", 1)
		bundle, err := f.read(path)
		if err != nil {
			return err
		}
		found, err := entries(bundle, n)
		if err != nil {
			return fmt.Errorf("%s: %v", path, err)
		}
		indexes := make([]int64, n)
		for i := range indexes {
			indexes[i] = tlog.StoredHashIndex(0, first+int64(i))
		}
		signed, err := hashes.ReadHashes(indexes)
		if err != nil {
			return err
		}
		for i, entry := range found {
			if have := tlog.RecordHash(entry); !bytes.Equal(have[:], signed[i][:]) {
				return fmt.Errorf("entry %d is not the one that was signed", first+int64(i))
			}
		}
	}
	return nil
}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "logcheck FOLDER LOG-KEY [WITNESS-KEY...]")
		os.Exit(2)
	}
	log := folder(os.Args[1])
	tree, err := log.checkpoint(os.Args[2], os.Args[3:])
	if err == nil {
		err = log.check(tree)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "refused:", err)
		os.Exit(1)
	}
	fmt.Printf("ok: %d entries\n", tree.N)
}
