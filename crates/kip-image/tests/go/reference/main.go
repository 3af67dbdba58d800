// Prints what github.com/distribution/reference makes of each text on standard input.
//
// A line of input is a text in hexadecimal. A line of output has fields between tabs, "!" where the text is
// refused: domain, path, tag, digest, printed and familiar form (ParseNormalizedNamed), the form that is
// pulled (ParseDockerRef), the printed form of ParseAnyReference, and whether that is a digest alone.
package main

import (
	_ "crypto/sha256" // Registers the algorithm: a digest of an algorithm that is not linked in is refused.
	_ "crypto/sha512" // And sha384.
	"fmt"
	"strings"

	"kip-image-oracle/lines"

	"github.com/distribution/reference"
)

func main() {
	lines.Main(func(line string) (string, error) {
		text, err := lines.Text(line)
		return strings.Join(parts(text), "\t"), err
	})
}

func parts(text string) []string {
	const refused = lines.Refused
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
