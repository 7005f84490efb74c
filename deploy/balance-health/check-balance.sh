#!/bin/sh
# Prints nothing and exits 0 while the balance sheet is valid; says so, heals what is safe to heal and exits 1 otherwise.
# cron:  0 */6 * * *  /opt/backoffice/deploy/balance-health/check-balance.sh || mail -s "Accounting alert" finance@example.com
#
# BACKOFFICE_URL         where Backoffice answers
# BACKOFFICE_TOKEN_FILE  a file that holds the line `Authorization: Bearer bo_…`, readable for this user alone
address=${BACKOFFICE_URL:-http://127.0.0.1:8000}/admin/balance-health
token=${BACKOFFICE_TOKEN_FILE:-/etc/backoffice/authorization}

ask() { curl --silent --show-error --max-time 60 --header "@$token" "$@"; }

answer=$(ask "$address/check") || exit 2
case $answer in
  *'"balance_status": true'*) exit 0 ;;
  *'"status": "busy"'*) exit 0 ;; # another one checks at this moment
  *'"balance_status": false'*) ;;
  *) echo "Backoffice does not say how the balance sheet stands: $answer"; exit 2 ;;
esac
echo "The balance sheet is not valid:"
echo "$answer"
echo "Healed:"
ask --request POST "$address/auto-heal" || exit 2
exit 1
