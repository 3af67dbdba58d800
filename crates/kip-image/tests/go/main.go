// Prints what github.com/distribution/reference makes of each text on standard input.
//
// A line of input is a text in hexadecimal. A line of output has fields between tabs, "!" where the text is
// refused: domain, path, tag, digest, printed and familiar form (ParseNormalizedNamed), the form that is
// pulled (ParseDockerRef), the printed form of ParseAnyReference, and whether that is a digest alone.
package main

import (
	"bufio"
	_ "crypto/sha256" // Registers the algorithm: a digest of an algorithm that is not linked in is refused.
	_ "crypto/sha512" // And sha384.
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/distribution/reference"
)

const refused = "!"

func main() {
	if err := answer(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func answer(in io.Reader, out io.Writer) error {
	reader, writer := bufio.NewReader(in), bufio.NewWriter(out)
	for {
		line, err := reader.ReadString('\n')
		if err == io.EOF && line == "" {
			return writer.Flush()
		}
		if err != nil {
			return fmt.Errorf("read a line of input: %w", err)
		}
		text, err := hex.DecodeString(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return fmt.Errorf("decode the line %q: %w", line, err)
		}
		if _, err := fmt.Fprintln(writer, strings.Join(parts(string(text)), "\t")); err != nil {
			return err
		}
	}
}

func parts(text string) []string {
	fields := []string{refused, refused, refused, refused, refused, refused, refused, refused, refused}
	if named, err := reference.ParseNormalizedNamed(text); err == nil {
		tag, digest := "", ""
		if tagged, ok := named.(reference.Tagged); ok {
			tag = tagged.Tag()
		}
		if digested, ok := named.(reference.Digested); ok {
			digest = digested.Digest().String()
		}
		copy(fields, []string{
			reference.Domain(named), reference.Path(named), tag, digest, named.String(), reference.FamiliarString(named),
		})
	}
	if pulled, err := reference.ParseDockerRef(text); err == nil {
		fields[6] = pulled.String()
	}
	if either, err := reference.ParseAnyReference(text); err == nil {
		_, named := either.(reference.Named)
		fields[7], fields[8] = either.String(), fmt.Sprint(!named)
	}
	return fields
}
