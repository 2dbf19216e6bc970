package retain

import "testing"

func TestKeepLast(t *testing.T) {
	for _, g := range []golden{
		{name: "newest first", rules: Rules{Last: 2}, lines: `
			v1 a 2025-01-01 = - not kept by keep-last 2 (3rd)
			v3 c 2025-01-03 = keep-last 2 (1st); newest
			v2 b 2025-01-02 = keep-last 2 (2nd)`},
		{name: "two tags on a digest take one slot, the older one stays too", rules: Rules{Last: 2}, lines: `
			v3     c 2025-01-03       = keep-last 2 (1st)
			stable c 2025-01-04       = keep-last 2 (1st); newest
			v2     b 2025-01-02       = keep-last 2 (2nd)
			v1     a 2025-01-01       = - not kept by keep-last 2 (3rd)
			v0     c 2020-01-01       = keep-last 2 (1st)`},
		{name: "a tag moved back brings its digest to the front", rules: Rules{Last: 1}, lines: `
			prod a 2025-01-04 = keep-last 1 (1st); newest
			v1   a 2025-01-01 = keep-last 1 (1st)
			v2   b 2025-01-02 = - not kept by keep-last 1 (3rd)
			v3   c 2025-01-03 = - not kept by keep-last 1 (2nd)`},
		{name: "more slots than digests", rules: Rules{Last: 5}, lines: `
			v1 a 2025-01-01 = keep-last 5 (2nd)
			v2 b 2025-01-02 = keep-last 5 (1st); newest`},
		{name: "a slot for everything", rules: Rules{Last: All}, lines: `
			v1 a 2025-01-01 = keep-last all (2nd)
			v2 b 2025-01-02 = keep-last all (1st); newest`},
		{name: "a tie over the last slot stays whole", rules: Rules{Last: 2}, lines: `
			v4 d 2025-01-03 = keep-last 2 (1st); newest
			v3 c 2025-01-02 = keep-last 2 (2nd)
			v2 b 2025-01-02 = keep-last 2 (2nd)
			v1 a 2025-01-01 = - not kept by keep-last 2 (4th)`},
		{name: "a tie before it counts as many as it is", rules: Rules{Last: 2}, lines: `
			v3 c 2025-01-02 = keep-last 2 (1st); newest
			v2 b 2025-01-02 = keep-last 2 (1st); newest
			v1 a 2025-01-01 = - not kept by keep-last 2 (3rd)`},
		{name: "a nanosecond is no tie", rules: Rules{Last: 1}, lines: `
			v2 b 2025-01-01T00:00:00.000000001Z = keep-last 1 (1st); newest
			v1 a 2025-01-01T00:00:00Z           = - not kept by keep-last 1 (2nd)`},
		{name: "images created at once, told apart by their pushes", rules: Rules{Last: 1, By: Created}, lines: `
			v1 a 2025-01-02 2024-05-05 = - not kept by keep-last 1 (2nd)
			v2 b 2025-01-03 2024-05-05 = keep-last 1 (1st); newest`},
		{name: "and not where a push isn't known", rules: Rules{Last: 1, By: Created}, lines: `
			v1 a 2025-01-02 2024-05-05 = keep-last 1 (1st); newest
			v2 b 2025-01-03 2024-05-05 = keep-last 1 (1st); newest
			v3 c ?          2024-05-05 = keep-last 1 (1st); newest
			v0 d 2025-02-02 2024-05-04 = - not kept by keep-last 1 (4th)`},
		{name: "0 of one rule beside another", rules: Rules{Last: None, Daily: 1}, lines: `
			v1 a 2025-01-01 = - not kept by keep-daily 1 (2025-01-01 lies further back)
			v2 b 2025-01-02 = keep-daily 1 (1st: 2025-01-02); newest`},
		{name: "a single tag", rules: Rules{Last: 3, Daily: 3, Within: Duration{Days: 1}}, lines: `
			v1 a 2025-01-01 = keep-last 3 (1st); keep-daily 3 (1st: 2025-01-01); keep-within 1d; newest`},
	} {
		g.run(t)
	}
	if v, err := Judge(nil, Rules{Last: 3, Daily: 3, Within: Duration{Days: 1}}, Setting{Now: now}); len(v) > 0 || err != nil {
		t.Errorf("no tags have the verdicts %v, %v", v, err)
	}
}
