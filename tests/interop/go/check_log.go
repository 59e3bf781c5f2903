// Checks a published Liuhen log, or one proof file, with the Go project's own transparency log packages.
//
//	check_log log DIR VKEY [OLDER-CHECKPOINT ...]
//	check_log proof FILE VKEY
//
// Nothing here was taken from Liuhen: notes are opened by golang.org/x/mod/sumdb/note, every hash that is believed comes
// from golang.org/x/mod/sumdb/tlog. Exit 0: accepted, 1: refused.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

func openCheckpoint(content []byte, vkey string) (tlog.Tree, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return tlog.Tree{}, err
	}
	opened, err := note.Open(content, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		return tlog.Tree{}, errors.New("not a checkpoint of this log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

// directory serves C2SP tiles to the tlog package, whose own paths name the tile height first.
type directory string

func (d directory) Height() int                        { return height }
func (d directory) SaveTiles(_ []tlog.Tile, _ [][]byte) {}

func (d directory) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var contents [][]byte
	for _, tile := range tiles {
		content, err := os.ReadFile(d.path(tile, strconv.Itoa(tile.L)))
		if err != nil {
			return nil, err
		}
		if len(content) != tile.W*tlog.HashSize {
			return nil, fmt.Errorf("tile %v has a wrong length", tile)
		}
		contents = append(contents, content)
	}
	return contents, nil
}

func (d directory) path(tile tlog.Tile, kind string) string {
	prefix := fmt.Sprintf("tile/%d/%d/", height, tile.L)
	return filepath.Join(string(d), "tile", kind, strings.TrimPrefix(tile.Path(), prefix))
}

func (d directory) entries(first, size int64) ([][]byte, error) {
	width := size - first
	if width > 1<<height {
		width = 1 << height
	}
	content, err := os.ReadFile(d.path(tlog.Tile{H: height, L: 0, N: first >> height, W: int(width)}, "entries"))
	if err != nil {
		return nil, err
	}
	var entries [][]byte
	for len(content) >= 2 {
		length := int(binary.BigEndian.Uint16(content))
		if len(content) < 2+length {
			return nil, errors.New("bundle is truncated")
		}
		entries, content = append(entries, content[2:2+length]), content[2+length:]
	}
	if int64(len(entries)) != width || len(content) != 0 {
		return nil, errors.New("bundle has a wrong number of entries")
	}
	return entries, nil
}

func checkLog(root, vkey string, older []string) error {
	content, err := os.ReadFile(filepath.Join(root, "checkpoint"))
	if err != nil {
		return err
	}
	tree, err := openCheckpoint(content, vkey)
	if err != nil {
		return err
	}
	hashes := tlog.TileHashReader(tree, directory(root))
	for first := int64(0); first < tree.N; first += 1 << height {
		entries, err := directory(root).entries(first, tree.N)
		if err != nil {
			return err
		}
		var indexes []int64
		for i := range entries {
			indexes = append(indexes, tlog.StoredHashIndex(0, first+int64(i)))
		}
		stored, err := hashes.ReadHashes(indexes)
		if err != nil {
			return err
		}
		for i, entry := range entries {
			if tlog.RecordHash(entry) != stored[i] {
				return fmt.Errorf("entry %d is not the one in the tree", first+int64(i))
			}
		}
	}
	for _, path := range older {
		if err := checkOlder(path, vkey, tree, hashes); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	fmt.Printf("accepted: %d entries, %d older checkpoints\n", tree.N, len(older))
	return nil
}

func checkOlder(path, vkey string, tree tlog.Tree, hashes tlog.HashReader) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	old, err := openCheckpoint(content, vkey)
	if err != nil {
		return err
	}
	proof, err := tlog.ProveTree(tree.N, old.N, hashes)
	if err != nil {
		return err
	}
	return tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash)
}

func checkProof(path, vkey string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	parts := bytes.SplitN(content, []byte("\n\n"), 2)
	lines := strings.Split(string(parts[0]), "\n")
	if len(parts) != 2 || len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return errors.New("not a tlog-proof")
	}
	tree, err := openCheckpoint(parts[1], vkey)
	if err != nil {
		return err
	}
	entry, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	if err != nil {
		return err
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
	if err != nil {
		return err
	}
	var proof tlog.RecordProof
	for _, line := range lines[3:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return err
		}
		proof = append(proof, hash)
	}
	if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry)); err != nil {
		return err
	}
	fmt.Printf("accepted: entry %d of %d\n", index, tree.N)
	return nil
}

func main() {
	var err error
	switch {
	case len(os.Args) >= 4 && os.Args[1] == "log":
		err = checkLog(os.Args[2], os.Args[3], os.Args[4:])
	case len(os.Args) == 4 && os.Args[1] == "proof":
		err = checkProof(os.Args[2], os.Args[3])
	default:
		err = errors.New("usage: check_log log DIR VKEY [OLDER ...] | check_log proof FILE VKEY")
	}
	if err != nil {
		fmt.Println("refused:", err)
		os.Exit(1)
	}
}
