#!/usr/bin/env bash
# Deploys logsluice: builds the image and pushes it to ECR, creates or updates the stack, and
# sets up the domain.
#
#   deploy/up.sh STACK PARAMETER=VALUE…
#
# The parameters are those of deploy/logsluice.yaml. An existing stack keeps those that are not
# passed. The AWS CLI finds region and credentials itself. With Image=… that image is used instead
# of a built one, also in later updates, until Image= is passed. With SETUP=0 the domain is not
# set up. TEMPLATE_BUCKET names a bucket for the template, otherwise one is created.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
  echo "deploy/up.sh: $*" >&2
  exit 1
}

stack=${1:-}
[[ $stack =~ ^[A-Za-z][A-Za-z0-9-]*$ ]] || fail "no stack is named: use deploy/up.sh STACK PARAMETER=VALUE…"
shift
image='' given='' architecture='' parameters=("$@")
for parameter; do
  [[ $parameter =~ ^[A-Za-z0-9]+= ]] || fail "'$parameter' is not a parameter: use PARAMETER=VALUE"
  case $parameter in
  Image=*) image=${parameter#*=} given=yes ;;
  CpuArchitecture=*) architecture=${parameter#*=} ;;
  esac
done

region=${AWS_REGION:-${AWS_DEFAULT_REGION:-$(aws configure get region || true)}}
[[ $region ]] || fail "AWS_REGION is not set: set it to the region of the stack"
export AWS_REGION=$region AWS_DEFAULT_REGION=$region # versions of the CLI differ in which they read
export AWS_PAGER=
account=$(aws sts get-caller-identity --query Account --output text) ||
  fail "the AWS CLI has no valid credentials: see aws configure, or aws sso login"

# describe prints an attribute of the stack, or nothing if the stack or the attribute does not exist.
describe() {
  aws cloudformation describe-stacks --stack-name "$stack" --query "Stacks[0].$1" --output text 2>/dev/null | sed 's/^None$//' || true
}
parameter() { describe "Parameters[?ParameterKey=='$1'].ParameterValue | [0]"; }
output() { describe "Outputs[?OutputKey=='$1'].OutputValue | [0]"; }

status=$(describe StackStatus)
[[ $status != ROLLBACK_COMPLETE ]] || fail "an earlier creation of stack $stack failed, so it cannot be updated: see its events, then aws cloudformation delete-stack --stack-name $stack"
if [[ ! $status ]]; then
  # The creation of an account's first cluster can fail while ECS creates this role itself.
  aws iam create-service-linked-role --aws-service-name ecs.amazonaws.com >/dev/null 2>&1 || true
fi

repository=logsluice
if [[ ! $given ]]; then
  image=$(parameter Image)
  [[ $image != $account.dkr.ecr.$region.*/$repository:* ]] || image='' # built by this script before
fi
if [[ ! $image ]]; then
  arn=$(aws ecr describe-repositories --repository-names $repository --query 'repositories[0].repositoryArn' --output text 2>/dev/null) ||
    arn=$(aws ecr create-repository --repository-name $repository --image-scanning-configuration scanOnPush=true \
      --query 'repository.repositoryArn' --output text)
  registry=$(aws ecr describe-repositories --repository-names $repository --query 'repositories[0].repositoryUri' --output text)
  registry=${registry%%/*}
  version=$(git describe --tags --always --dirty) || fail "git describe, which names the image, failed: run this in a clone, or pass Image=…"
  # Two uncommitted states must not have the same image name.
  [[ $version != *-dirty ]] || version+=-$(date -u +%Y%m%d%H%M%S)
  image=$registry/$repository:$version
  builder=$(make --silent builder)
  aws ecr get-login-password | "$builder" login --username AWS --password-stdin "$registry"
  # One platform, because Docker without the containerd image store does not support lists of images.
  platform=linux/arm64
  [[ ${architecture:-$(parameter CpuArchitecture)} != X86_64 ]] || platform=linux/amd64
  make image IMAGE="$image" VERSION="$version" PLATFORMS=$platform PUSH=1
  parameters+=("Image=$image" "ImageRepositoryArn=$arn")
fi

bucket=${TEMPLATE_BUCKET:-logsluice-deploy-$account-$region}
if [[ ! ${TEMPLATE_BUCKET:-} ]] && ! aws s3api head-bucket --bucket "$bucket" --expected-bucket-owner "$account" >/dev/null 2>&1; then
  aws s3 mb "s3://$bucket" >/dev/null || fail "the bucket for the template cannot be created: set TEMPLATE_BUCKET to an existing bucket in $region"
fi
aws cloudformation deploy --stack-name "$stack" --template-file deploy/logsluice.yaml \
  --s3-bucket "$bucket" --s3-prefix "$stack" \
  --capabilities CAPABILITY_IAM CAPABILITY_AUTO_EXPAND --no-fail-on-empty-changeset \
  ${parameters[@]+--parameter-overrides "${parameters[@]}"}

if [[ ${SETUP:-1} != 0 ]]; then
  cluster=$(output ClusterName) logs=$(output LogGroupName)
  started=$(eval "$(output Runsetup) --query '[tasks[0].taskArn, failures[0].reason]' --output text")
  read -r task reason <<<"$started"
  [[ $task == arn:* ]] || fail "the stack is deployed, but ECS does not start the task that sets up the domain: $reason"
  echo "Setting up the domain with task ${task##*/}"
  aws ecs wait tasks-stopped --cluster "$cluster" --tasks "$task"
  aws logs get-log-events --log-group-name "$logs" --log-stream-name "task/logsluice/${task##*/}" --start-from-head \
    --query 'events[].[message]' --output text || true # a task that could not start has no log
  code=$(aws ecs describe-tasks --cluster "$cluster" --tasks "$task" --query 'tasks[0].containers[0].exitCode' --output text)
  if [[ $code != 0 ]]; then
    aws ecs describe-tasks --cluster "$cluster" --tasks "$task" --query 'tasks[0].stoppedReason' --output text >&2
    fail "the stack is deployed, but setting up the domain ended with $code. Usual cause: the domain does not allow the task role yet: $(output TaskRoleArn)"
  fi
fi
echo "Running. Dashboard: $(output DashboardUrl)"
