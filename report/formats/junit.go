package formats

import (
	"encoding/xml"
	"io"
	"strconv"
	"strings"

	"regfsck/backend/words"
	"regfsck/graph/finding"
	"regfsck/report"
	"regfsck/report/exitcode"
)

// junitWriter writes a check as test results, for build servers: a suite for each severity,
// and in it a test for each kind of finding. A kind without findings has passed. Each finding
// that raises the exit code is a failure; milder ones are in the test's output. What could
// not be read or judged is an error. Accepted findings are skipped, with the reason, and so
// are entries of --accept that don't apply.
func junitWriter(d report.Document) func(io.Writer) error {
	switch d := d.(type) {
	case *report.Check:
		return func(w io.Writer) error { return writeJUnit(w, d) }
	case *report.Plan:
		return func(w io.Writer) error { return writeJUnit(w, &d.Check) }
	}
	return nil
}

type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Skipped  int          `xml:"skipped,attr"`
	Time     string       `xml:"time,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	XMLName xml.Name      `xml:"testcase"`
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Failure *junitProblem `xml:"failure"`
	Error   *junitProblem `xml:"error"`
	Skipped *junitSkipped `xml:"skipped"`
	Output  string        `xml:"system-out,omitempty"`
}

type junitProblem struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

type junitSkipped struct {
	Message string `xml:"message,attr"`
}

func (s *junitSuite) add(class, name string, failure, wrong *junitProblem, output string) {
	s.Tests++
	if failure != nil {
		s.Failures++
	}
	if wrong != nil {
		s.Errors++
	}
	s.Cases = append(s.Cases, junitCase{Class: class, Name: name, Failure: failure, Error: wrong, Output: output})
}

// skip adds a skipped test.
func (s *junitSuite) skip(class, name, why string) {
	s.Tests, s.Skipped = s.Tests+1, s.Skipped+1
	s.Cases = append(s.Cases, junitCase{Class: class, Name: name, Skipped: &junitSkipped{why}})
}

func writeJUnit(w io.Writer, c *report.Check) error {
	all := junitSuites{Name: "regfsck " + words.Clean(c.Target), Time: strconv.FormatFloat(c.Finished.Sub(c.Started).Seconds(), 'f', 3, 64)}
	for severity := finding.Fatal; severity <= finding.Garbage; severity++ {
		all.add(suiteOf(c, severity))
	}
	if c.Accepted != nil {
		s := junitSuite{Name: "--accept"}
		for r := range c.Accepted.Each() {
			if why := c.Fate(r); why != "" {
				s.skip(r.ID, words.Clean(r.Where()), words.Clean(r.About()+": "+why))
			}
		}
		all.add(s)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	out := xml.NewEncoder(w)
	out.Indent("", " ")
	if err := out.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (all *junitSuites) add(s junitSuite) {
	all.Tests, all.Failures, all.Errors, all.Skipped = all.Tests+s.Tests, all.Failures+s.Failures, all.Errors+s.Errors, all.Skipped+s.Skipped
	all.Suites = append(all.Suites, s)
}

// suiteOf returns the tests of one severity.
func suiteOf(c *report.Check, severity finding.Severity) junitSuite {
	s := junitSuite{Name: severity.String()}
	fails := severity != finding.Fatal && severity <= c.FailOn && c.FailOn != finding.Fatal
	if severity == finding.Fatal || fails {
		for f := range c.Result.Findings {
			if f.Kind.Severity() == severity && !f.InGrace {
				p := problemOf(&f)
				if r := c.Accepted.By(&f); r != nil {
					s.skip(f.Kind.String(), words.Clean(f.Path), "accepted: "+report.Grounds(r))
				} else if fails {
					s.add(f.Kind.String(), words.Clean(f.Path), p, nil, "")
				} else {
					s.add(f.Kind.String(), words.Clean(f.Path), nil, p, "")
				}
			}
		}
	}
	for id := range finding.Kinds {
		n := c.Left(id)
		switch {
		case id.Severity() != severity:
		case c.Result.Counts[id].Count == 0:
			s.add(id.String(), id.String(), nil, nil, "")
		case !fails && severity != finding.Fatal:
			output := words.Plural(n.Count, "finding", "findings") + ", " + words.Size(n.Bytes) + ": " + id.Explanation().Brief
			if more := c.Result.Counts[id].Count - n.Count; more > 0 {
				output += "; " + words.Number(more) + " more accepted"
			}
			s.add(id.String(), id.String(), nil, nil, output)
		}
	}
	switch severity {
	case finding.Fatal:
		for b := range c.Result.Unknown {
			s.add("tag-unknown", words.Clean(b.Ref()), nil, tagProblem(b, "could not be judged"), "")
		}
		if s.Errors == 0 && (c.Exit&exitcode.Incomplete != 0 || !c.Result.Complete) { // it was interrupted, or not everything is verified
			notes := strings.Join(words.All(c.Result.Notes, words.Clean), "\n")
			s.add("incomplete", "incomplete", nil, &junitProblem{"the check is incomplete", "incomplete", notes}, "")
		}
	case finding.Error:
		for b := range c.Result.Broken {
			if fails && c.Accepted.Knows(&b) {
				s.skip("tag-broken", words.Clean(b.Ref()), "can't be pulled; all that it lacks is accepted")
			} else if fails {
				s.add("tag-broken", words.Clean(b.Ref()), tagProblem(b, "can't be pulled"), nil, "")
			}
		}
	}
	return s
}

func problemOf(f *finding.Finding) *junitProblem {
	lines := []string{words.Clean(f.Path)}
	if f.Detail != "" {
		lines = append(lines, words.Clean(f.Detail))
	}
	if f.AffectsCount > 0 {
		lines = append(lines, report.Impact(*f))
	}
	return &junitProblem{f.Kind.Explanation().Brief, f.Kind.String(), strings.Join(lines, "\n")}
}

func tagProblem(b finding.BrokenTag, what string) *junitProblem {
	return &junitProblem{words.Clean(b.Ref()) + " " + what, "tag", strings.Join(words.All(b.Because, words.Clean), "\n")}
}
