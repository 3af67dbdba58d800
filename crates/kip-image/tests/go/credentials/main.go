// Prints the credentials that kubelet finds for images in pull secrets.
//
// A line has two fields with a tab between them: the secrets, each as its type, a colon and its data in
// hexadecimal, and the images in hexadecimal; commas stand between several. A line of output is "!" where a
// secret is refused. Otherwise it has a field for each image, with tabs between them: the credentials in order, each
// as user, a colon and password in hexadecimal, with commas between them.
package main

import (
	"encoding/hex"
	"strings"

	"kip-image-oracle/lines"
	"kip-image-oracle/pullsecrets"

	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/credentialprovider"
	"k8s.io/kubernetes/pkg/credentialprovider/secrets"
)

func main() {
	// A key that is no URL is told in the log only: thousands of lines here.
	klog.SetLogger(klog.Logger{})
	lines.Main(answer)
}

func answer(line string) (string, error) {
	first, second, _ := strings.Cut(line, "\t")
	passed, err := pullsecrets.Read(first)
	if err != nil {
		return "", err
	}
	images, err := lines.Texts(second)
	if err != nil {
		return "", err
	}
	keyring, err := secrets.MakeDockerKeyring(passed, &credentialprovider.BasicDockerKeyring{})
	if err != nil {
		return lines.Refused, nil
	}
	var fields []string
	for _, image := range images {
		found, _ := keyring.Lookup(image)
		var credentials []string
		for _, auth := range found {
			credentials = append(credentials, encode(auth.Username)+":"+encode(auth.Password))
		}
		fields = append(fields, strings.Join(credentials, ","))
	}
	return strings.Join(fields, "\t"), nil
}

func encode(text string) string { return hex.EncodeToString([]byte(text)) }
