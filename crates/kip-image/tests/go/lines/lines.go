// Package lines answers the lines of standard input with lines on standard output.
package lines

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// Refused stands for the fields of something that is refused.
const Refused = "!"

// Main answers each line, and ends the program if one is no question.
func Main(answer func(line string) (string, error)) {
	if err := run(os.Stdin, os.Stdout, answer); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer, answer func(string) (string, error)) error {
	reader, writer := bufio.NewReader(in), bufio.NewWriter(out)
	for {
		line, err := reader.ReadString('\n')
		if errors.Is(err, io.EOF) && line == "" {
			return writer.Flush()
		}
		if err != nil {
			return fmt.Errorf("read a line of input: %w", err)
		}
		answered, err := answer(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return fmt.Errorf("answer the line %q: %w", line, err)
		}
		if _, err := fmt.Fprintln(writer, answered); err != nil {
			return err
		}
	}
}

// Text reads a field in hexadecimal.
func Text(field string) (string, error) {
	text, err := hex.DecodeString(field)
	return string(text), err
}

// Texts reads fields in hexadecimal, each after a comma but the first.
func Texts(field string) ([]string, error) {
	var texts []string
	for _, part := range strings.Split(field, ",") {
		text, err := Text(part)
		if err != nil {
			return nil, err
		}
		texts = append(texts, text)
	}
	return texts, nil
}
