package report

import (
	"encoding/xml"
	"io"
	"strconv"
	"strings"

	"regfsck/graph/finding"
)

// junitWriter writes a check as a run of tests, as build servers show it: a suite for
// each severity, and in it a test for each kind of finding. A kind of which nothing
// was found has passed. Each finding that raises the exit code is a failure; the
// milder ones are told in the output of their kind's test. What could not be read or
// judged is an error.
func junitWriter(d Document) func(io.Writer) error {
	switch d := d.(type) {
	case *Check:
		return d.writeJUnit
	case *Plan:
		return d.Check.writeJUnit
	}
	return nil
}

type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Time     string       `xml:"time,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	XMLName xml.Name      `xml:"testcase"`
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Failure *junitProblem `xml:"failure"`
	Error   *junitProblem `xml:"error"`
	Output  string        `xml:"system-out,omitempty"`
}

type junitProblem struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
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

func (c *Check) writeJUnit(w io.Writer) error {
	all := junitSuites{Name: "regfsck " + Clean(c.Target), Time: strconv.FormatFloat(c.Finished.Sub(c.Started).Seconds(), 'f', 3, 64)}
	for severity := finding.Fatal; severity <= finding.Garbage; severity++ {
		s := c.suite(severity)
		all.Tests, all.Failures, all.Errors = all.Tests+s.Tests, all.Failures+s.Failures, all.Errors+s.Errors
		all.Suites = append(all.Suites, s)
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

// suite is the tests of one severity.
func (c *Check) suite(severity finding.Severity) junitSuite {
	s := junitSuite{Name: severity.String()}
	fails := severity != finding.Fatal && severity <= c.FailOn && c.FailOn != finding.Fatal
	if severity == finding.Fatal || fails {
		for f := range c.Result.Findings {
			if f.Kind.Severity() == severity && !f.InGrace {
				p := problemOf(&f)
				if fails {
					s.add(f.Kind.String(), Clean(f.Path), p, nil, "")
				} else {
					s.add(f.Kind.String(), Clean(f.Path), nil, p, "")
				}
			}
		}
	}
	for id := range finding.Kinds {
		n := c.Result.Counts[id]
		switch {
		case id.Severity() != severity:
		case n.Count == 0:
			s.add(id.String(), id.String(), nil, nil, "")
		case !fails && severity != finding.Fatal:
			s.add(id.String(), id.String(), nil, nil, Plural(n.Count, "finding", "findings")+", "+Size(n.Bytes)+": "+id.Explanation().Brief)
		}
	}
	switch severity {
	case finding.Fatal:
		for b := range c.Result.Unknown {
			s.add("tag-unknown", Clean(b.Ref()), nil, tagProblem(b, "could not be judged"), "")
		}
		if s.Errors == 0 && (c.Exit&Incomplete != 0 || !c.Result.Complete) { // it was interrupted, or not all is proven
			var notes []string
			for _, n := range c.Result.Notes {
				notes = append(notes, Clean(n))
			}
			s.add("incomplete", "incomplete", nil, &junitProblem{"the check is incomplete", "incomplete", strings.Join(notes, "\n")}, "")
		}
	case finding.Error:
		for b := range c.Result.Broken {
			if fails {
				s.add("tag-broken", Clean(b.Ref()), tagProblem(b, "can't be pulled"), nil, "")
			}
		}
	}
	return s
}

func problemOf(f *finding.Finding) *junitProblem {
	lines := []string{Clean(f.Path)}
	if f.Detail != "" {
		lines = append(lines, Clean(f.Detail))
	}
	if f.AffectsCount > 0 {
		lines = append(lines, impact(*f))
	}
	return &junitProblem{f.Kind.Explanation().Brief, f.Kind.String(), strings.Join(lines, "\n")}
}

func tagProblem(b finding.BrokenTag, what string) *junitProblem {
	reasons := make([]string, len(b.Because))
	for i, why := range b.Because {
		reasons[i] = Clean(why)
	}
	return &junitProblem{Clean(b.Ref()) + " " + what, "tag", strings.Join(reasons, "\n")}
}
