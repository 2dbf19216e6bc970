package s3

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// archived reports whether objects of a storage class have to be restored before
// they can be read. GLACIER_IR is read as any other.
func archived(class string) bool {
	return class == string(types.StorageClassGlacier) || class == string(types.StorageClassDeepArchive)
}

// cold reports whether an object can't be read now, by the answer to a HEAD.
func cold(out *s3.HeadObjectOutput) bool {
	return (archived(string(out.StorageClass)) || out.ArchiveStatus != "") &&
		!strings.Contains(aws.ToString(out.Restore), `ongoing-request="false"`)
}
