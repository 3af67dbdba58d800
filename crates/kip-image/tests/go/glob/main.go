// Prints whether the pattern matches the text, or "!" where the pattern is malformed. A line has both in
// hexadecimal, with a comma between them.
package main

import (
	"fmt"
	"path/filepath"

	"kip-image-oracle/lines"
)

func main() {
	lines.Main(func(line string) (string, error) {
		texts, err := lines.Texts(line)
		if err != nil {
			return "", err
		}
		matched, err := filepath.Match(texts[0], texts[1])
		if err != nil {
			return lines.Refused, nil
		}
		return fmt.Sprint(matched), nil
	})
}
