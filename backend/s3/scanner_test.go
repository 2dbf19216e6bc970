package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"regfsck/backend/lister"
	"regfsck/fixtures"
	"regfsck/walker/layout"
)

// answering is an HTTP client that responds to each request with one page.
type answering []byte

func (a answering) Do(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{}, Request: r, ContentLength: int64(len(a)), Body: io.NopCloser(bytes.NewReader(a))}, nil
}

// decodedBySDK returns a page decoded by the SDK.
func decodedBySDK(t *testing.T, body []byte) (*page, error) {
	c := s3.New(s3.Options{
		Region: "us-east-1", HTTPClient: answering(body), Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider("access", "secret", ""),
	})
	out, err := c.ListObjectsV2(context.Background(), &s3.ListObjectsV2Input{Bucket: aws.String("bucket")})
	if err != nil {
		return nil, err
	}
	p := page{Page: &lister.Page{}}
	p.reset()
	return &p, p.take(out)
}

// text returns the content of a page as text.
func (p *page) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "truncated %v, token %q, encoded %v, count %d, prefixes %q\n", p.Truncated, p.Token, p.encoded, p.count, p.Prefixes)
	for _, o := range p.Objects {
		fmt.Fprintf(&b, "%q %q %d %d\n", o.Key, o.ETag, o.Size, o.Modified)
	}
	return b.String()
}

const pageHead = `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bucket</Name><Prefix></Prefix>`

const anObject = `<Contents><Key>a/b</Key><LastModified>2026-11-20T18:55:00.000Z</LastModified>` +
	`<ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag><Size>71</Size><StorageClass>STANDARD</StorageClass></Contents>`

// pages are forms of pages, and whether the scanner must parse them itself.
var pages = map[string]bool{
	pageHead + `<KeyCount>1</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>` + anObject + `</ListBucketResult>`:                             true,
	pageHead + `<NextContinuationToken>1/a&amp;b==</NextContinuationToken><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated></ListBucketResult>`: true,
	`<ListBucketResult><IsTruncated>false</IsTruncated><CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes><Marker/></ListBucketResult>`:                      true,
	"<ListBucketResult>\r\n\t<IsTruncated>false</IsTruncated>\n <Contents>\n  <ETag>\"x\"</ETag><Key>&#x41;&#66;é&lt;</Key><Size>0</Size>\n" +
		`<LastModified>2024-02-29T23:59:59Z</LastModified><Owner><ID>i</ID><DisplayName>d</DisplayName></Owner></Contents></ListBucketResult>` + "\n": true,
	`<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>&#x3c;&#10;&apos;]&gt;</NextContinuationToken>` +
		`<Odd a="1" b:c="2"/><Odd>&quot;</Odd></ListBucketResult>`: true,
	`<ListBucketResult><IsTruncated>false</IsTruncated><Odd><In>x</In></Odd></ListBucketResult>`:                                                                  false,
	`<ListBucketResult><IsTruncated>false</IsTruncated><Odd a='1'/></ListBucketResult>`:                                                                           false,
	`<ListBucketResult><IsTruncated>false</IsTruncated><Odd>]]></Odd></ListBucketResult>`:                                                                         false,
	`<ListBucketResult><IsTruncated>false</IsTruncated><Odd>&#0;</Odd></ListBucketResult>`:                                                                        false,
	`<ListBucketResult><IsTruncated>False</IsTruncated></ListBucketResult>`:                                                                                       false,
	`<ListBucketResult><IsTruncated>false</IsTruncated><KeyCount>99999999999</KeyCount></ListBucketResult>`:                                                       false,
	"<ListBucketResult><IsTruncated>false</IsTruncated><Odd>\xff</Odd></ListBucketResult>":                                                                        false,
	pageHead + `<IsTruncated>false</IsTruncated><Contents><Owner><ID>i</ID></Owner><Owner/></Contents></ListBucketResult>`:                                        false,
	pageHead + `<IsTruncated>false</IsTruncated>` + strings.Replace(anObject, "<Key>", `<Owner t:ype="x"><ID>&amp;</ID></Owner><Key>`, 1) + `</ListBucketResult>`: true,
	pageHead + `<IsTruncated>false</IsTruncated>` + strings.Replace(anObject, "a/b", "a\r\nb", 1) + `</ListBucketResult>`:                                         false,
	pageHead + `<!-- c --><IsTruncated>false</IsTruncated>` + anObject + `</ListBucketResult>`:                                                                    false,
	pageHead + `<IsTruncated>false</IsTruncated><Contents><Key><![CDATA[a<b]]></Key></Contents></ListBucketResult>`:                                               false,
	pageHead + `<IsTruncated>false</IsTruncated>` + strings.Replace(anObject, "T18", "T25", 1) + `</ListBucketResult>`:                                            false,
	pageHead + `<IsTruncated>false</IsTruncated>` + strings.Replace(anObject, "a/b", "a&nbsp;b", 1) + `</ListBucketResult>`:                                       false,
	pageHead + `<IsTruncated>false</IsTruncated>` + strings.Replace(anObject, "<Size>71", "<size>7</size><Size>1", 1) + `</ListBucketResult>`:                     false,
	pageHead + `<IsTruncated>false</IsTruncated>` + anObject:                                                                                                      false,
	pageHead + anObject + `</ListBucketResult>`:                                                                                                                   false,
	`<html><IsTruncated>false</IsTruncated></html>`:                                                                                                               false,
	`<Error><Code>InternalError</Code></Error>`:                                                                                                                   false,
	``: false,
}

// FuzzPage: the SDK decodes each page that the scanner accepts, with the same result.
func FuzzPage(f *testing.F) {
	for body := range pages {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		kept := bytes.Clone(body)
		p := page{Page: &lister.Page{Body: body}}
		p.reset()
		p.Body = body
		scanned := p.scan()
		if !bytes.Equal(body, kept) {
			t.Fatal("the scanner has changed what it read")
		}
		if !scanned {
			return
		}
		want, err := decodedBySDK(t, body)
		if err != nil {
			t.Fatalf("the SDK refuses what the scanner takes: %v", err)
		}
		if p.text() != want.text() {
			t.Fatalf("the scanner reads\n%s\nand the SDK\n%s", p.text(), want.text())
		}
	})
}

func TestScanned(t *testing.T) {
	for body, want := range pages {
		p := page{Page: &lister.Page{Body: []byte(body)}, count: -1}
		if got := p.scan(); got != want {
			t.Errorf("scanned %v, want %v: %s", got, want, body)
		}
	}
}

// TestUnusualPages: pages that the scanner rejects are still listed, and a response that isn't
// a page isn't an empty page.
func TestUnusualPages(t *testing.T) {
	for body, want := range map[string]string{
		pageHead + `<!-- c --><IsTruncated>false</IsTruncated>` + anObject + `</ListBucketResult>`:                                                               "[a/b]",
		pageHead + `<IsTruncated>false</IsTruncated>` + strings.Replace(anObject, "a/b", "<![CDATA[a&b]]>", 1) + `</ListBucketResult>`:                           "[a&b]",
		pageHead + `<EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>` + strings.Replace(anObject, "a/b", "a%2Fb+%21", 1) + `</ListBucketResult>`: "[a/b !]",
		pageHead + `<EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>` + strings.Replace(anObject, "a/b", "a%2", 1) + `</ListBucketResult>`:       "",
		pageHead + anObject + `</ListBucketResult>`: "",
		pageHead + `<IsTruncated>false</IsTruncated>` + strings.Replace(anObject, "<Size>71</Size>", "", 1) + `</ListBucketResult>`: "",
		pageHead + `<IsTruncated>false</IsTruncated>` + anObject:                                                                    "",
		`<html></html>`: "",
		``:              "",
	} {
		s := plenty()
		r := s.reader(t, Options{Attempts: 2})
		s.before = func(w http.ResponseWriter, r *http.Request) bool {
			fmt.Fprint(w, body)
			return true
		}
		keys, _, err := keysOf(t, r, "")
		if (err == nil) != (want != "") || err == nil && fmt.Sprint(keys) != want || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q, %v; want %s: %s", keys, err, want, body)
		}
	}
}

// thousand returns a page as AWS sends it.
func thousand() []byte {
	var b bytes.Buffer
	b.WriteString(pageHead + "<KeyCount>1000</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken>")
	for i := range 1000 {
		key := layout.Repositories + "/library/some/app/_layers/sha256/" + fixtures.Digest(i) + "/link"
		b.WriteString(strings.Replace(anObject, "a/b", key, 1))
	}
	b.WriteString("</ListBucketResult>")
	return b.Bytes()
}

// TestScanAllocates: a key needs no allocation.
func TestScanAllocates(t *testing.T) {
	p := page{Page: &lister.Page{}}
	body := thousand()
	n := testing.AllocsPerRun(10, func() {
		p.reset()
		if p.Body = body; !p.scan() || len(p.Objects) != 1000 {
			t.Fatal("a page isn't understood")
		}
	})
	if n > 2 {
		t.Errorf("%v allocations for a page", n)
	}
}

func BenchmarkScan(b *testing.B) {
	p := page{Page: &lister.Page{}}
	body := thousand()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		p.reset()
		if p.Body = body; !p.scan() {
			b.Fatal("a page isn't understood")
		}
	}
}
