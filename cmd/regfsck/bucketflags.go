package main

import (
	"math"
	"strconv"

	"github.com/urfave/cli/v2"

	"regfsck/cmd/regfsck/target"
)

// bucketFlags say how a bucket is reached.
func bucketFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "s3-endpoint", Usage: "ask the S3 server at `URL` instead of AWS"},
		&cli.StringFlag{Name: "s3-region", Usage: "the bucket's `REGION`"},
		&cli.BoolFlag{Name: "s3-path-style", Usage: "name the bucket in the path, not in the host", DefaultText: "wherever there is an endpoint"},
		&cli.StringFlag{Name: "s3-ca", Usage: "trust the certificates in `FILE` (PEM) too, as AWS_CA_BUNDLE names them"},
		&cli.BoolFlag{Name: "s3-requester-pays", Usage: "bear the cost of requests to a bucket of somebody else's, where that is asked for"},
		&cli.StringFlag{Name: "s3-rate", Usage: "send `N` requests a second at most", DefaultText: "no limit"},
	}
}

// noCacheFlag is for commands that read manifests.
func noCacheFlag() cli.Flag {
	return &cli.BoolFlag{Name: "no-cache", Usage: "fetch every manifest of a bucket, and keep none for the next run"}
}

// reachFlags are all flags by which a bucket is reached and read.
func reachFlags() []cli.Flag { return append(bucketFlags(), noCacheFlag()) }

// bucketOf reads them.
func bucketOf(c *cli.Context) (b target.Bucket, err error) {
	b.Endpoint, b.Region, b.CA = c.String("s3-endpoint"), c.String("s3-region"), c.String("s3-ca")
	if style := c.Bool("s3-path-style"); style {
		b.PathStyle = &style
	}
	b.RequesterPays = c.Bool("s3-requester-pays")
	if s := c.String("s3-rate"); s != "" {
		b.Rate, err = strconv.ParseFloat(s, 64)
		if err != nil || !(b.Rate > 0) || math.IsInf(b.Rate, 1) {
			return b, misuse(seeHelp(c.Command.Name), "--s3-rate is a number of requests a second, not %q", s)
		}
	}
	return b, nil
}
