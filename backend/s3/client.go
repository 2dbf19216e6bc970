package s3

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// open is Open without the first look.
func open(ctx context.Context, o Options) (*Reader, error) {
	o, err := o.complete()
	if err != nil {
		return nil, fmt.Errorf("open the bucket: %w", err)
	}
	r := &Reader{bucket: o.Bucket, root: o.Root, look: o.Look, workers: o.Workers, requesterPays: o.RequesterPays}
	r.name = "s3://" + o.Bucket + "/" + strings.TrimSuffix(o.Root, "/")
	r.contact.say = o.Say
	cfg, err := o.load(ctx, &r.contact)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", r.name, err)
	}
	client := newHTTPClient(cfg)
	r.idle = client.CloseIdleConnections
	r.client = s3.NewFromConfig(cfg, func(s *s3.Options) {
		s.HTTPClient = client
		r.configure(s, o)
	})
	if r.client.Options().Region == "" {
		return nil, fmt.Errorf("open %s: %w", r.name, errNoRegion)
	}
	return r, nil
}

// errNoRegion is what the SDK says of each request, in words that help.
var errNoRegion = errors.New("no region is known: give --s3-region, or set AWS_REGION")

// load asks the default chain for what the options leave open.
func (o Options) load(ctx context.Context, first *contact) (aws.Config, error) {
	transport, err := o.transport(first)
	if err != nil {
		return aws.Config{}, err
	}
	with := []func(*config.LoadOptions) error{config.WithHTTPClient(transport)}
	if o.Region != "" {
		with = append(with, config.WithRegion(o.Region))
	}
	if o.AccessKey != "" {
		with = append(with, config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(o.AccessKey, o.SecretKey, o.SessionToken)))
	}
	cfg, err := config.LoadDefaultConfig(ctx, with...)
	if err != nil {
		return cfg, fmt.Errorf("read the settings of the environment and of the shared files: %w", err)
	}
	if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
		return cfg, fmt.Errorf("no credentials: neither keys nor the default chain (environment, shared files, web identity, instance role) give any: %w", err)
	}
	return cfg, nil
}

// configure says what is ours in a client.
func (r *Reader) configure(s *s3.Options, o Options) {
	if o.Endpoint != "" {
		s.BaseEndpoint = aws.String(o.Endpoint)
	}
	custom := s.BaseEndpoint != nil // by the environment, too
	if s.Region == "" && custom {
		s.Region = "us-east-1"
	}
	s.UsePathStyle = custom
	if o.PathStyle != nil {
		s.UsePathStyle = *o.PathStyle
	}
	s.UseAccelerate = o.Accelerate
	s.EndpointOptions.DisableHTTPS = o.Insecure
	if o.DualStack {
		s.EndpointOptions.UseDualStackEndpoint = aws.DualStackEndpointStateEnabled
	}
	if o.FIPS {
		s.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateEnabled
	}
	// Other servers don't know the newer checksums; digests and ETags are checked here.
	s.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
	s.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
	s.Retryer, s.RetryMaxAttempts = newRetryer(o, &r.contact), 0
	s.Logger = logging.Nop{}
	s.APIOptions = append(s.APIOptions, newMeter(o, &r.counts, &r.contact).add)
	if o.RequesterPays {
		s.APIOptions = append(s.APIOptions, smithyhttp.AddHeaderValue("X-Amz-Request-Payer", "requester"))
	}
	if o.UserAgent != "" {
		s.APIOptions = append(s.APIOptions, awsmiddleware.AddUserAgentKey(o.UserAgent))
	}
}
